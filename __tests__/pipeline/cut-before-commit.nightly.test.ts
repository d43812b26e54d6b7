import { cutInEach } from '../servers/cut-deploys.js';

cutInEach(['preparing', 'built', 'SQL in flight']);
