import { describe } from 'node:test';
import { everyLoss, lostAnswers } from './lost-answers.js';

describe('PostgreSQL 15', () => {
  lostAnswers(15);
  everyLoss(15);
});
describe('PostgreSQL 17', () => everyLoss(17));
