// Downgrades: the backwards of the committed path, in the same pipeline, from the copies that were archived when they were applied.
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeScratch } from '../../../examples/demo/scratch.ts';
import { differencesBetween } from '../../../examples/demo/snapshot.ts';
import { fixtures, makeTiny, until, type State, type Tiny } from './installation.ts';

const down = ['--to', '1.0.0', '--allow-downgrade', '--yes', '--json'];

test('the sample, upgraded and downgraded, is what it was', async () => {
  const scratch = await makeScratch({ prefix: 'rungs-down-' });
  try {
    // As shipped, its first transition cannot be left again: one step leaves its undoing to the record of the run.
    const release = path.join(scratch.migrations, 'v0.1.0_to_v0.2.0/005_switch_release.ts');
    const backward = `backward: async ({ files }) => {
      await files.updateYaml('config/app.yaml', (doc) => doc.deleteIn(['addresses']));
      await files.updateJson('release.json', (release) => ({ ...release, version: '0.1.0', schema: 1 }));
    },`;
    writeFileSync(release, readFileSync(release, 'utf8').replace('  forward:', `  ${backward}\n  forward:`));
    // As it is shipped; a checkout may have made it writable for the group too.
    chmodSync(path.join(scratch.root, '.env'), 0o644);
    await scratch.start();
    const [tree, rows] = [await scratch.snapshot(), await scratch.databaseDump()];
    const up = await scratch.upgrade(['--to', '0.3.0', '--yes']);
    expect(up.code, up.stderr + up.stdout).toBe(0);
    const { code, stdout, stderr } = await scratch.upgrade(['--to', '0.1.0', '--allow-downgrade', '--yes', '--json']);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: 'committed', from: '0.3.0', to: '0.1.0', version: '0.1.0' });
    expect(differencesBetween(tree, await scratch.snapshot())).toEqual([]);
    expect(await scratch.databaseDump()).toBe(rows);
    expect((await scratch.health())?.status).toBe(200);
  } finally {
    await scratch.remove();
  }
});

/** At 2.0.0, by an upgrade. */
async function withUpgraded(work: (tiny: Tiny, states: { readonly old: State; readonly upgraded: State }) => Promise<void>): Promise<void> {
  const tiny = makeTiny();
  try {
    tiny.step('v1.0.0_to_v1.1.0/003_settings.ts', settingsWithBackward);
    await tiny.start();
    const old = await tiny.look();
    const { code, stdout, stderr } = await tiny.upgrade(['--yes']);
    expect(code, stdout + stderr).toBe(0);
    await work(tiny, { old, upgraded: await tiny.look() });
  } finally {
    await tiny.remove();
  }
}

const settingsWithBackward = `export default {
  requiresRestart: ['app'],
  forward: async ({ files }) => files.write('config/app.yaml', '# Settings of the tiny product.\\nlisten: 9090   # nobody listens there\\nmail:\\n  enabled: false\\n'),
  backward: async ({ files }) => files.write('config/app.yaml', (await files.read('config/app.yaml')).replace('9090', '8080')),
};
`;

test('without the flag it is refused, and nothing is changed', async () => {
  await withUpgraded(async (tiny, { upgraded }) => {
    for (const args of [
      ['--to', '1.0.0', '--yes', '--json'],
      ['--from', '2.0.0', '--to', '1.1.0', '--yes', '--json'],
    ]) {
      const { code, stdout } = await tiny.upgrade(args);
      expect(code).toBe(3);
      expect(JSON.parse(stdout).failure.code).toBe('DOWNGRADE_REFUSED');
    }
    await expectState(tiny, upgraded);
  });
});

test('down, up and down again', async () => {
  await withUpgraded(async (tiny, { old, upgraded }) => {
    await expectDown(tiny, old);
    expect((await tiny.upgrade(['--yes'])).code).toBe(0);
    await expectState(tiny, upgraded);
    await expectDown(tiny, old);
    const history: readonly { readonly outcome: string; readonly direction: string }[] = JSON.parse(
      (await tiny.upgrade(['history', '--json'])).stdout,
    );
    expect(history.map(({ outcome, direction }) => `${direction} ${outcome}`)).toEqual([
      'down committed',
      'up committed',
      'down committed',
      'up committed',
    ]);
  });
});

test('a downgrade in two runs', async () => {
  await withUpgraded(async (tiny, { old }) => {
    expect((await tiny.upgrade(['--to', '1.1.0', '--allow-downgrade', '--yes'])).code).toBe(0);
    expect((await tiny.look()).version).toBe('1.1.0');
    await expectDown(tiny, old);
  });
});

describe('a downgrade that fails goes back to where it began', () => {
  const waysToFail: readonly { readonly why: string; readonly file: string; readonly change: (text: string) => string }[] = [
    {
      why: 'a backward fails',
      file: 'v1.0.0_to_v1.1.0/002_stock.sql',
      change: (text) => text.replace('-- backward', '-- backward\nDROP TABLE nowhere;'),
    },
    {
      why: 'a backward does half and fails',
      file: 'v1.0.0_to_v1.1.0/004_shared.sh',
      change: (text) => text.replace('rm -rf data/shared', 'rm -rf data/shared\n    exit 3'),
    },
    {
      why: 'the old version does not run',
      file: 'v1.1.0_to_v2.0.0/003_release.py',
      change: (text) => text.replace('int(text) - 1', 'int(text) + 5'),
    },
  ];
  test.each(waysToFail)('$why', async ({ file, change }) => {
    const tiny = makeTiny();
    try {
      tiny.edit('upgrade.yaml', (yaml) => yaml.replace('timeout: 10s', 'timeout: 2s'));
      tiny.step('v1.0.0_to_v1.1.0/003_settings.ts', settingsWithBackward);
      const at = path.join(tiny.migrations, file);
      writeFileSync(at, change(readFileSync(at, 'utf8')));
      await tiny.start();
      expect((await tiny.upgrade(['--yes'])).code).toBe(0);
      const upgraded = await tiny.look();
      const { code, stdout, stderr } = await tiny.upgrade(down);
      expect(code, stderr).toBe(10);
      expect(JSON.parse(stdout)).toMatchObject({ outcome: 'rolled-back', version: '2.0.0' });
      await expectState(tiny, upgraded);
      expect((await tiny.upgrade(['status', '--json'])).stdout).toContain('"state": "up-to-date"');
    } finally {
      await tiny.remove();
    }
  });
});

test('the archived copies are used where the folders are gone', async () => {
  await withUpgraded(async (tiny, { old }) => {
    rmSync(path.join(tiny.migrations, 'v1.1.0_to_v2.0.0'), { recursive: true });
    rmSync(path.join(tiny.migrations, 'v1.0.0_to_v1.1.0'), { recursive: true });
    await expectDown(tiny, old);
  });
});

test('an applied step that was edited is refused on the way up, and goes down by its archived copy', async () => {
  await withUpgraded(async (tiny, { old, upgraded }) => {
    tiny.step('v2.0.0_to_v3.0.0/001_more.sql', '-- forward\nCREATE TABLE more (x);\n-- backward\nDROP TABLE more;\n');
    tiny.step('v1.1.0_to_v2.0.0/002_schema.sql', '-- rungs: { database: app }\n-- forward\nSELECT 1;\n-- backward\nDROP TABLE items;\n');
    const up = await tiny.upgrade(['--yes', '--json']);
    expect(up.code, up.stdout).toBe(3);
    expect(JSON.parse(up.stdout).failure).toMatchObject({ code: 'APPLIED_STEP_EDITED' });
    await expectState(tiny, upgraded);
    await expectDown(tiny, old);
  });
});

describe.concurrent('a downgrade that is killed', () => {
  const moments = [
    'step-finished apply v1.1.0_to_v2.0.0/002_schema#1',
    'step-finished apply v1.0.0_to_v1.1.0/002_stock#1',
    'service starting app#1',
    'version-written#1',
    'run-finished#1',
  ];
  for (const key of moments) {
    for (const end of ['resume', 'rollback']) {
      test(`at "${key}": ${end}`, async () => {
        await withUpgraded(async (tiny, { old, upgraded }) => {
          const { signal } = await tiny.node([path.join(fixtures, 'programs/kill-at.mjs'), tiny.configFile, 'down', 'both', key]);
          expect(signal).toBe('SIGKILL');
          let ended = await tiny.upgrade([end]);
          await until('the lock is free', async () => {
            if (ended.code === 75) ended = await tiny.upgrade([end]);
            return ended.code !== 75;
          });
          expect(ended.code, ended.stdout + ended.stderr).toBe(end === 'resume' ? 0 : 10);
          await expectState(tiny, end === 'resume' ? old : upgraded);
        });
      });
    }
  }
});

async function expectDown(tiny: Tiny, old: State): Promise<void> {
  const { code, stdout, stderr } = await tiny.upgrade(down);
  expect(code, stdout + stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ outcome: 'committed', version: '1.0.0' });
  await expectState(tiny, old);
}

async function expectState(tiny: Tiny, wanted: State): Promise<void> {
  const now = await tiny.look();
  expect(now.version).toBe(wanted.version);
  expect(differencesBetween(wanted.tree, now.tree)).toEqual([]);
  expect(now.rows).toBe(wanted.rows);
  expect(now.answer).toBe(wanted.answer);
}
