import { manyProcessesAndFaults } from './chaos.js';

manyProcessesAndFaults();
