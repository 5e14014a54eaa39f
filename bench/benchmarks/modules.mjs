// 1,000 TypeScript steps of one row each, loaded by type stripping on both sides.
import { join } from 'node:path';
import * as commands from '../lib/commands.mjs';
import * as fixtures from '../lib/fixtures.mjs';
import { takeTurns } from '../lib/measure.mjs';
import { printBound, printTable } from '../lib/report.mjs';

const count = 1000;

export async function run({ rounds }) {
  const inDir = (folder) => (dir) => {
    const found = fixtures.countItems(join(dir, folder, 'app.db'));
    if (found !== count) throw new Error(`${found} rows instead of ${count}`);
  };
  const results = await takeTurns(
    [
      {
        name: 'rungs',
        prepare: (dir) => fixtures.installation(dir, { count, kind: 'ts' }),
        command: () => commands.upgrade('--yes'),
        check: inDir('data'),
      },
      { name: 'umzug', prepare: (dir) => fixtures.umzugModules(dir, { count }), command: commands.umzug('up', 'ts'), check: inDir('.') },
    ],
    { rounds },
  );
  printTable(`ts-1000: ${count} TypeScript steps of one row`, results, { against: 'rungs' });
  printBound('rungs / umzug', results.get('rungs').ms / results.get('umzug').ms, 1.5);
}
