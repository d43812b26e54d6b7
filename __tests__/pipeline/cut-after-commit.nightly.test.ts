import { cutInEach } from '../servers/cut-deploys.js';

cutInEach(['committed', 'rehearsed']);
