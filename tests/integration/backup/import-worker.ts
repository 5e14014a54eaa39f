// Takes a file in, as a process of its own that can be killed.
import { join } from 'node:path';
import { createBackupStore } from '../../../src/backup/store.ts';
import { clock } from './clock.ts';
import { configFor } from './config-for.ts';

const [dir = '', file = ''] = process.argv.slice(2);
const store = createBackupStore({ config: configFor(join(dir, 'root')), clock });
process.stdout.write('go\n');
await store.importFrom(file, () => false);
