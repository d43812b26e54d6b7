/** The one bundle behind both doors: dist/index.js (GitHub) and dist/cli.js (a terminal) are two lines each. */
export { cli } from './cli.js';
export { action } from './main.js';
