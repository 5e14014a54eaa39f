// The sample's transitions run by the real executable: what they do, and that each backward is right by itself.
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { differencesBetween, makeScratch } from './scratch.ts';
import type { Scratch } from './scratch.ts';

let scratch: Scratch;

beforeEach(async () => {
  scratch = await makeScratch();
  await scratch.start();
});

afterEach(async () => {
  await scratch.remove();
});

test('an upgrade over both transitions keeps what people wrote and moves what belongs elsewhere', async () => {
  const before = await scratch.snapshot();
  const result = await upgrade('--to', '0.3.0');
  expect(result).toMatchObject({ outcome: 'committed', version: '0.3.0' });
  expect(await scratch.health()).toEqual({ status: 200, body: { ok: true, version: '0.3.0', schema: 3, users: 3000 } });

  const config = await readFile(join(scratch.root, 'config/app.yaml'), 'utf8');
  const original = await readFile(new URL('../../../examples/home-server/config/app.yaml', import.meta.url), 'utf8');
  const kept = original.split('\n').filter((line) => line !== '' && !line.includes('by-year'));
  expect(config.split('\n')).toEqual(expect.arrayContaining(kept));
  expect(config).toMatch(/^ {2}layout: by-user +# by-year \| by-user$/m);

  const after = await scratch.snapshot();
  const content = (snapshot: typeof before) =>
    [...snapshot]
      .filter(([path, { type }]) => path.startsWith('data/uploads/') && type === 'file')
      .map(([, { sha256, mode }]) => `${mode} ${sha256}`)
      .toSorted();
  expect(content(after)).toEqual(content(before));
  expect(after.get('data/uploads/bjorn1/2022--note-0.txt')).toEqual(before.get('data/uploads/2022/bjorn1--note-0.txt'));
  expect(after.get('.env')).toMatchObject({ mode: '600' });
  expect(after.get('data/thumbnails')).toMatchObject({ type: 'folder', mode: '750' });

  const dump = await scratch.databaseDump();
  expect(dump.match(/"user_id":"\d+n","street":/g)).toHaveLength(2940);
  expect(dump).toContain('"login":"bjorn1","name":"Björn Hopper","joined_on":"2019-01-02","email":"bjorn1@home.example"');
});

test('a downgrade from 0.3.0 leaves exactly what an upgrade to 0.2.0 made', async () => {
  expect(await upgrade('--to', '0.2.0')).toMatchObject({ outcome: 'committed' });
  const [tree, rows] = [await scratch.snapshot(), await scratch.databaseDump()];
  expect(await upgrade('--to', '0.3.0')).toMatchObject({ outcome: 'committed' });
  expect(await upgrade('--to', '0.2.0', '--allow-downgrade')).toMatchObject({ outcome: 'committed', version: '0.2.0' });
  expect(differencesBetween(tree, await scratch.snapshot())).toEqual([]);
  expect(await scratch.databaseDump()).toBe(rows);
  expect(await scratch.health()).toEqual({ status: 200, body: { ok: true, version: '0.2.0', schema: 2, users: 3000 } });
});

test('when the last step fails, the backwards alone bring everything back: nothing has to be restored', async () => {
  const [tree, rows, health] = [await scratch.snapshot(), await scratch.databaseDump(), await scratch.health()];
  await writeFile(
    join(scratch.migrations, 'v0.2.0_to_v0.3.0/006_fail.ts'),
    "import { defineStep } from 'rungs';\nexport default defineStep({ forward: async () => { throw new Error('no'); } });\n",
  );
  const result = await upgrade('--to', '0.3.0');
  expect(result).toMatchObject({ outcome: 'rolled-back', version: '0.1.0', restored: [] });
  expect(differencesBetween(tree, await scratch.snapshot())).toEqual([]);
  expect(await scratch.databaseDump()).toBe(rows);
  expect(await scratch.health()).toEqual(health);
});

test('when a step fails after half of careless work, what the backwards cannot know is restored from the backup', async () => {
  const [tree, rows, health] = [await scratch.snapshot(), await scratch.databaseDump(), await scratch.health()];
  await copyFile(
    new URL('../../../examples/demo/006_break.ts', import.meta.url),
    join(scratch.migrations, 'v0.2.0_to_v0.3.0/006_break.ts'),
  );
  const result = await upgrade('--to', '0.3.0');
  expect(result).toMatchObject({ outcome: 'rolled-back', version: '0.1.0', failure: { step: 'v0.2.0_to_v0.3.0/006_break' } });
  expect(differencesBetween(tree, await scratch.snapshot())).toEqual([]);
  expect(await scratch.databaseDump()).toBe(rows);
  expect(await scratch.health()).toEqual(health);
});

test('when careless work makes the backward of another step fail, the backup alone brings everything back', async () => {
  const [tree, rows, health] = [await scratch.snapshot(), await scratch.databaseDump(), await scratch.health()];
  await writeFile(
    join(scratch.migrations, 'v0.2.0_to_v0.3.0/006_careless.ts'),
    `import { rm, rename } from 'node:fs/promises';
     import { defineStep } from 'rungs';
     export default defineStep({
       forward: async ({ root, sqlite, checkpoint }) => {
         await rm(root + '/config/storage.json');
         await rename(root + '/data/uploads/bjorn1', root + '/data/uploads/archive');
         await sqlite('app').exec('DROP TABLE addresses');
         await checkpoint.save('dropped');
         throw new Error('no');
       },
     });`,
  );
  const result = await upgrade('--to', '0.3.0');
  expect(result).toMatchObject({ outcome: 'rolled-back', version: '0.1.0' });
  expect(differencesBetween(tree, await scratch.snapshot())).toEqual([]);
  expect(await scratch.databaseDump()).toBe(rows);
  expect(await scratch.health()).toEqual(health);
});

async function upgrade(...args: readonly string[]): Promise<unknown> {
  const { stdout, stderr, code } = await scratch.upgrade([...args, '--json', '--yes']);
  if (stdout === '') throw new Error(`exit code ${code}, no result document: ${stderr}`);
  return JSON.parse(stdout);
}
