import { testNasties } from './nasties.js';

testNasties(15);
