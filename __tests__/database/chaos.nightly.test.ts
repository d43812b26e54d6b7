import { manyProcessesAndFaults, struckAtRandomMoments } from './chaos.js';

manyProcessesAndFaults();
struckAtRandomMoments();
