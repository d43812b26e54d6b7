/** A whole deploy as a process of its own, to be killed: `deploy-process.js FILE`, a WholeDeploy as JSON. Tells its log. */
import { readFileSync } from 'node:fs';
import { deployWhole, type WholeDeploy } from './whole-deploy.js';

const given = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as WholeDeploy;
await deployWhole({
  ...given,
  onEntry: (entry) => void process.stdout.write(`${JSON.stringify(entry)}\n`),
});
process.exit(0);
