import { struckAtRandomMoments } from './chaos.js';

struckAtRandomMoments();
