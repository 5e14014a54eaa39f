// Restores one dump as a process of its own that can be killed: URL, dump file and the expected digest as a file.
import { readFileSync } from 'node:fs';
import { restorePostgres } from '../../../src/databases/postgres/restore.ts';

const [url = '', dump = '', expected = ''] = process.argv.slice(2);
process.stdout.write('go\n');
await restorePostgres({ url, attempts: 1, backoffMs: 1 }, dump, {
  name: 'main',
  id: 'B1',
  expected: JSON.parse(readFileSync(expected, 'utf8')) as Parameters<typeof restorePostgres>[2]['expected'],
});
