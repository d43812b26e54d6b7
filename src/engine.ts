/** The one bundle behind the doors: dist/index.js and dist/post.js (GitHub) and dist/cli.js (a terminal) are two lines each. */
export { cli } from './cli.js';
export { action, post } from './main.js';
