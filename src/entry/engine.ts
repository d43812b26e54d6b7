/** The one bundle behind the entry points: dist/index.js and dist/post.js (GitHub) and dist/cli.js (a terminal) are two lines each. */

export { action, post } from './action.js';
export { cli } from './cli.js';
