// The tools of a series of moves:
//   node scripts/house.mjs measure [--json]          what src weighs
//   node scripts/house.mjs move [--dry] [--force]    moves files and renames symbols by scripts/house-map.mjs
// `move` first lists each new name that is taken, and stops there (--force: goes on). --dry writes nothing.
// Both need the compiler's API: HOUSE_TYPESCRIPT names a folder with node_modules/typescript 5.x; see house/typescript.mjs.
import { parseArgs } from 'node:util';
import { measure, toText } from './house/measure.mjs';
import { loadTypeScript } from './house/typescript.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, dry: { type: 'boolean' }, force: { type: 'boolean' } },
});
const root = process.cwd();
switch (positionals[0]) {
  case 'measure': {
    const found = measure(loadTypeScript(), root);
    console.log(values.json ? JSON.stringify(found, null, 2) : toText(found));
    break;
  }
  case 'move': {
    const { move } = await import('./house/move.mjs');
    process.exit(move(loadTypeScript(), root, await import('./house-map.mjs'), values));
    break;
  }
  default:
    console.error('usage: node scripts/house.mjs measure [--json] | move [--dry] [--force]');
    process.exit(2);
}
