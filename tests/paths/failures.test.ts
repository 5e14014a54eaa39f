// Failure at each step of a path, of every kind and in every way: exit 10, everything as before, told in the history, and with mended steps the next upgrade
// commits. All of it on real installations with a running daemon.
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { differencesBetween } from '../../examples/demo/snapshot.ts';
import { makeScratch } from '../../examples/demo/scratch.ts';
import type { ResultDocument } from '../../src/model/run.ts';
import { makeTiny, processesIn, until, type Ended, type State, type Tiny } from '../integration/pipeline/installation.ts';
import { badStep, kinds, treeHarm, ways } from './bad-steps.ts';

const transition = 'v1.1.0_to_v2.0.0';

describe.concurrent('a failing step of each kind, in each way', () => {
  test.each(kinds)('%s', async (kind) => {
    await withTiny(async (tiny, before) => {
      for (const way of ways) {
        const { files, failing } = badStep(kind, way, 50);
        for (const [name, text] of Object.entries(files)) tiny.step(`${transition}/${name}`, text);
        const result = await expectRolledBack(tiny, before, `${kind} that ${way}`);
        expect(result.failure, way).toMatchObject({ phase: 'orchestration', step: `${transition}/${failing}` });
        expect(result.steps.find(({ id }) => id.endsWith(failing))?.status, way).toBe('failed');
        for (const name of Object.keys(files)) rmSync(path.join(tiny.migrations, transition, name));
      }
      await expectCommits(tiny);
    });
  });
});

// What `ctx` cannot do, but a script can.
const harms: readonly { readonly why: string; readonly script: string }[] = [
  { why: 'the database is deleted', script: 'rm -f data/app.db data/app.db-wal data/app.db-shm' },
  {
    why: 'the database is overwritten with noise',
    script: 'rm -f data/app.db-wal data/app.db-shm; head -c 20000 /dev/urandom > data/app.db',
  },
  { why: 'a stranger’s write-ahead log lies beside the database', script: 'head -c 40000 /dev/urandom > data/app.db-wal' },
  { why: 'all that is backed up is deleted', script: 'rm -rf config data VERSION' },
  { why: 'a folder is replaced by a link that leads out', script: 'mv data/files "$OUTSIDE/files" && ln -s "$OUTSIDE/files" data/files' },
  { why: 'two files are made one by a hard link', script: 'ln -f data/files/with* data/files/locked.txt' },
  { why: 'a hard link is broken up', script: 'cp -p data/hard.txt data/copy && mv data/copy data/hard.txt' },
  {
    why: 'a file becomes a folder and a folder a file',
    script: 'rm config/app.env && mkdir -p config/app.env/deep && rm -rf data/shared && echo x > data/shared',
  },
  { why: 'everything at once', script: treeHarm },
];

describe.concurrent('a script that does harm and then fails', () => {
  const both = harms.flatMap((harm) => [
    { ...harm, kind: 'sh' },
    { ...harm, kind: 'ts' },
  ]);
  test.each(both)('$kind: $why', async ({ script, kind }) => {
    const outside = mkdtempSync(path.join(os.tmpdir(), 'rungs-outside-'));
    try {
      await withTiny(async (tiny, before) => {
        // The module has changed files and the database by itself before: what is known of that must not be in the way of the restore.
        const asModule = `export default { forward: async ({ exec, files, sqlite, checkpoint }) => {
          for (const file of ['config/app.yaml', 'data/files/new.txt']) await files.write(file, 'harm: done');
          await files.mkdir('data/files/more/and/more');
          await sqlite('app').exec('CREATE TABLE harm (x)');
          await checkpoint.save(1);
          await exec('sh', ['-c', ${JSON.stringify(`OUTSIDE=${outside}\n${script}`)}]);
          throw new Error('it was not to be');
        } };`;
        tiny.step(`${transition}/050_harm.${kind}`, kind === 'sh' ? `#!/bin/sh\nOUTSIDE=${outside}\n${script}\nexit 1\n` : asModule);
        await expectRolledBack(tiny, before, script);
        rmSync(path.join(tiny.migrations, transition, `050_harm.${kind}`));
        await expectCommits(tiny);
      });
    } finally {
      rmSync(outside, { recursive: true, force: true });
    }
  });
});

test('a service that ran on does not keep the database that was replaced', async () => {
  await withTiny(async (tiny) => {
    tiny.edit('upgrade.yaml', (yaml) => yaml.replace('stopDuringUpgrade: true', 'stopDuringUpgrade: false'));
    rmSync(path.join(tiny.migrations, transition), { recursive: true });
    for (const name of readdirSync(path.join(tiny.migrations, 'v1.0.0_to_v1.1.0')))
      rmSync(path.join(tiny.migrations, 'v1.0.0_to_v1.1.0', name));
    tiny.step('v1.0.0_to_v1.1.0/001_harm.py', harmPython);
    const before = await tiny.look();
    const result = await expectRolledBack(tiny, before, 'rows were deleted');
    expect(result.services).toMatchObject([{ name: 'app', status: 'healthy' }]);
  });
});

const harmPython = `import sqlite3


def migrate_forward(root):
    own = sqlite3.connect(root / "data" / "app.db")
    own.execute("DELETE FROM items")
    own.commit()
    raise RuntimeError("it was not to be")
`;

describe.concurrent('what fails after the steps', () => {
  const later: readonly {
    readonly why: string;
    readonly file: string;
    readonly text: string;
    readonly phase: string;
    readonly code: string;
  }[] = [
    {
      why: 'the service does not come up with the new version',
      file: '050_x.sh',
      text: '#!/bin/sh\necho 3 > config/release.txt\n',
      phase: 'restart',
      code: 'SERVICE_NOT_RUNNING',
    },
    {
      why: 'the service is up but never healthy',
      file: '050_x.sh',
      text: '#!/bin/sh\nsed -i s/ready/steady/ bin/server.mjs\n',
      phase: 'restart',
      code: 'SERVICE_UNHEALTHY',
    },
    {
      why: 'a probe does not pass',
      file: '050_x.sql',
      text: "-- forward\nINSERT INTO items VALUES (51, 'one too many', 1, 0);\n",
      phase: 'verify',
      code: 'VERIFY_FAILED',
    },
    {
      why: 'a foreign key leads nowhere',
      file: '050_x.sh',
      text: "#!/bin/sh\npython3 -c \"import sqlite3; c = sqlite3.connect('data/app.db'); c.execute('CREATE TABLE bad (item REFERENCES items (id))'); c.execute('INSERT INTO bad VALUES (99)'); c.commit()\"\n",
      phase: 'verify',
      code: 'VERIFY_FAILED',
    },
    {
      why: 'the version cannot be written',
      file: '050_x.sh',
      text: '#!/bin/sh\nrm VERSION && mkdir VERSION\n',
      phase: 'commit',
      code: 'VERSION_UNWRITABLE',
    },
  ];
  test.each(later)('$why', async ({ file, text, phase, code }) => {
    await withTiny(async (tiny, before) => {
      tiny.edit('upgrade.yaml', (yaml) => yaml.replace('timeout: 10s', 'timeout: 2s').replace('[config, data]', '[config, data, bin]'));
      const now = { ...before, tree: (await tiny.look()).tree };
      tiny.step(`${transition}/${file}`, text);
      const result = await expectRolledBack(tiny, now, phase);
      expect(result.failure).toMatchObject({ phase, code });
      rmSync(path.join(tiny.migrations, transition, file));
      await expectCommits(tiny);
    });
  });
});

describe.concurrent('a run that is asked to stop', () => {
  const moments: readonly { readonly when: string; readonly event: RegExp }[] = [
    { when: 'in the preflight', event: /"phase-started","phase":"preflight"/ },
    { when: 'in the backup', event: /"phase-started","phase":"backup"/ },
    { when: 'in the discovery', event: /"phase-started","phase":"discovery"/ },
    { when: 'while services are stopped', event: /"action":"stopping"/ },
    { when: 'in a module step', event: /"step-output","step":"\S+003_settings"/ },
    { when: 'in a shell step', event: /"step-output","step":"\S+004_shared"/ },
    { when: 'in a Python step', event: /"step-output","step":"\S+003_release"/ },
    { when: 'in a hanging step', event: /"step-output","step":"\S+050_hangs"/ },
    { when: 'in the restart', event: /"phase-started","phase":"restart"/ },
    { when: 'while a service is waited for', event: /"action":"waiting"/ },
    { when: 'in the verification', event: /"phase-started","phase":"verify"/ },
  ];
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test.each(moments)(`by ${signal} $when`, async ({ when, event }) => {
      await withTiny(async (tiny, before) => {
        const hanging = path.join(tiny.migrations, transition, '050_hangs.sh');
        if (when === 'in a hanging step') writeFileSync(hanging, '#!/bin/sh\necho now\nsleep 600\n');
        const ended = await tiny.upgrade(['--events', '--yes'], {
          onSpawn: (child) => {
            let isSent = false;
            child.stdout?.on('data', (text: string) => {
              if (isSent || !event.test(text)) return;
              isSent = true;
              child.kill(signal);
            });
          },
        });
        const result = await expectOldState(tiny, before, ended, when);
        expect(result.failure?.code).toMatch(/^(?:CANCELLED|STEP_CANCELLED)$/);
        rmSync(hanging, { force: true });
        if (signal === 'SIGINT') await expectCommits(tiny);
      });
    });
  }
});

test('SIGHUP is ignored', async () => {
  await withTiny(async (tiny) => {
    const { code } = await tiny.upgrade(['--events', '--yes'], {
      onSpawn: (child) => child.stdout?.once('data', () => child.kill('SIGHUP')),
    });
    expect(code).toBe(0);
  });
});

test('a second SIGINT stops at once, and the run can be resumed', async () => {
  await withTiny(async (tiny, before) => {
    tiny.step(`${transition}/050_hangs.sh`, '#!/bin/sh\ntrap "" TERM INT\necho now\nsleep 4\nexit 1\n');
    const ended = await tiny.upgrade(['--events', '--yes'], {
      onSpawn: (child) => {
        let isSent = false;
        child.stdout?.on('data', (text: string) => {
          if (isSent || !text.includes('050_hangs","stream"')) return;
          isSent = true;
          child.kill('SIGINT');
          setTimeout(() => child.kill('SIGINT'), 100);
        });
      },
    });
    expect(ended.code).toBe(130);
    let last: Ended = ended;
    await until('the lock is free', async () => {
      last = await tiny.upgrade(['resume', '--json']);
      return last.code !== 75;
    });
    await expectOldState(tiny, before, last, 'resumed');
  });
});

describe('the sample: a failure after each of its steps in turn', () => {
  const sample = path.join(import.meta.dirname, '../../migrations');
  const places = readdirSync(sample).flatMap((folder) =>
    readdirSync(path.join(sample, folder))
      .filter((name) => /^\d/.test(name))
      .map((name) => ({ folder, name })),
  );
  test('has ten steps', () => expect(places).toHaveLength(10));

  test.concurrent.each(places)('after $folder/$name', async ({ folder, name }) => {
    const scratch = await makeScratch({ prefix: 'rungs-failures-' });
    try {
      const dir = path.join(scratch.migrations, folder);
      // Room for one more after each.
      for (const step of readdirSync(dir))
        if (/^00\d_/.test(step)) renameSync(path.join(dir, step), path.join(dir, step.replace(/^00(\d)_/, '0$10_')));
      const breaking = name.replace(/^00(\d)_.*/, '0$15_break');
      writeFileSync(path.join(dir, `${breaking}.mjs`), sampleBreak);
      await scratch.start();
      const [tree, rows, health] = [await scratch.snapshot(), await scratch.databaseDump(), await scratch.health()];
      const { code, stdout, stderr } = await scratch.upgrade(['--json', '--yes', '--to', '0.3.0']);
      expect(code, stderr).toBe(10);
      expect(JSON.parse(stdout)).toMatchObject({ outcome: 'rolled-back', version: '0.1.0', failure: { step: `${folder}/${breaking}` } });
      expect(differencesBetween(tree, await scratch.snapshot())).toEqual([]);
      expect(await scratch.databaseDump()).toBe(rows);
      expect(await scratch.health()).toEqual(health);
    } finally {
      await scratch.remove();
    }
  });
});

const sampleBreak = `
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
export default {
  requiresRestart: ['web'],
  forward: async ({ root, files, sqlite, checkpoint }) => {
    await files.write('config/app.yaml', 'half: written\\n');
    chmodSync(root + '/data', 0o777);
    rmSync(root + '/config/storage.json');
    mkdirSync(root + '/data/uploads/too/many', { recursive: true });
    writeFileSync(root + '/data/uploads/too/many/files', 'x');
    await sqlite('app').run('DELETE FROM users WHERE id % 3 = 0');
    await checkpoint.save(1);
    throw new Error('half-way');
  },
};
`;

async function withTiny(work: (tiny: Tiny, before: State) => Promise<void>): Promise<void> {
  const tiny = makeTiny();
  try {
    await tiny.start();
    await work(tiny, await tiny.look());
  } finally {
    await tiny.remove();
  }
}

async function expectRolledBack(tiny: Tiny, before: State, why: string): Promise<ResultDocument> {
  return expectOldState(tiny, before, await tiny.upgrade(['--json', '--yes']), why);
}

/** Exit 10, everything as before, and the history tells of it. */
async function expectOldState(tiny: Tiny, before: State, { code, stdout, stderr }: Ended, why: string): Promise<ResultDocument> {
  expect(code, `${why}\n${stdout}\n${stderr}`).toBe(10);
  const result: ResultDocument = JSON.parse(stdout.startsWith('{\n') ? stdout : (stdout.trim().split('\n').at(-1) ?? ''));
  expect(result, why).toMatchObject({ outcome: 'rolled-back', version: before.version });
  const now = await tiny.look();
  const story = `${why}\n${stderr}`;
  expect(now.version, story).toBe(before.version);
  expect(differencesBetween(before.tree, now.tree), story).toEqual([]);
  expect(now.rows, story).toBe(before.rows);
  expect(now.answer, story).toBe(before.answer);
  expect(processesIn(tiny.dir).length, `one daemon and nothing else runs: ${story}`).toBe(1);
  const history: readonly { readonly id: string; readonly outcome: string }[] = JSON.parse(
    (await tiny.upgrade(['history', '--json'])).stdout,
  );
  expect(history[0], why).toMatchObject({ id: result.runId, outcome: 'rolled-back' });
  return result;
}

async function expectCommits(tiny: Tiny): Promise<void> {
  const { code, stdout, stderr } = await tiny.upgrade(['--yes']);
  expect(code, stdout + stderr).toBe(0);
  const { version, answer } = await tiny.look();
  expect(version).toBe('2.0.0');
  expect(answer).toBe(JSON.stringify({ release: 2, items: 50, total: 51912.5, objects: 3 }));
}
