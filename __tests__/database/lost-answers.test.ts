import { lostAnswers } from './lost-answers.js';

lostAnswers(17);
