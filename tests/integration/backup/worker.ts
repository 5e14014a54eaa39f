// Does one thing with the scratch installation whose folder it is given, as a process of its own that can be killed or measured.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createBackupStore } from '../../../src/backup/store.ts';
import { clock } from './clock.ts';
import { configFor } from './config-for.ts';
import { readManifest } from '../../../src/backup/manifest-file.ts';
import { pathsOf, recordOf } from '../../../src/backup/create.ts';
import { keepHeapSmall } from '../../../src/cli/small-heap.ts';

const [dir = '', action = '', id = 'B1'] = process.argv.slice(2);
const root = join(dir, 'root');
const url = process.env.RUNGS_TEST_POSTGRES;
const plain = configFor(root);
const config: typeof plain =
  url === undefined ? plain : { ...plain, databases: { ...plain.databases, main: { kind: 'postgres', url, attempts: 1, backoffMs: 1 } } };
const store = createBackupStore({ config, clock });
const paths = pathsOf(config.backup.dir, id);

// As the commands do.
keepHeapSmall();
process.stdout.write('go\n');
if (action === 'create') {
  await store.create({ id, runId: null, version: null, extraPaths: [] });
} else {
  const backup = recordOf(await readManifest({ id, manifest: paths.manifest }), paths);
  if (action === 'restore') await store.restore(backup, { asideDir: join(root, '.upgrade/aside') });
  if (action === 'verify') await store.verify(backup);
  if (action === 'compare') process.stdout.write(`${(await store.compare(backup)).differences.length} differences\n`);
}
// `resourceUsage()` would count what the parent used before the fork.
const peak = /VmHWM:\s+(\d+) kB/.exec(existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '')?.[1] ?? '0';
process.stdout.write(`${JSON.stringify({ peakBytes: Number(peak) * 1024 })}\n`);
