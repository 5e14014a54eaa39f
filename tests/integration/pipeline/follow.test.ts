// Runs in a process of their own, and those who follow them from other processes: live, from a number on, after a kill, and long after.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { UpdateManager, type UpgradeEvent } from '../../../src/index.ts';
import { until } from '../../support/until.ts';

const executable = path.resolve(import.meta.dirname, '../../../src/cli/main.ts');
const killer = path.resolve(import.meta.dirname, '../../fixtures/services/kill-at-handover.mjs');
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

describe('a run in a process of its own', () => {
  test('is followed while it goes on, from the beginning and from a number on, to its result', async () => {
    const { manager, letGo, cli } = await makeInstallation();
    const { runId } = await manager.start(await manager.plan());
    const events: UpgradeEvent[] = [];
    let later: Promise<readonly UpgradeEvent[]> | null = null;
    for await (const event of manager.follow(runId)) {
      events.push(event);
      if (event.type !== 'step-started' || !event.step.endsWith('002_waits')) continue;
      // The run stands here until it is let go: what comes now comes live.
      later = all(manager.follow(runId, { afterSeq: event.seq }));
      letGo();
    }
    const numbers = events.map(({ seq }) => seq);
    expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
    const here = events.findIndex((event) => event.type === 'step-started' && event.step.endsWith('002_waits'));
    expect(await later).toEqual(events.slice(here + 1));
    const [run] = await manager.history();
    expect(events.at(-1)).toMatchObject({ type: 'run-finished', outcome: 'committed', result: run?.result });
    // Long after, the same is told again; after its last number nothing, and the result all the same.
    expect(await all(manager.follow(runId))).toEqual(events);
    expect(await all(manager.follow(runId, { afterSeq: numbers.at(-1) ?? 0 }))).toEqual([]);
    const told = cli('follow', runId, '--after', String(numbers.at(-1)), '--json');
    expect(told).toMatchObject({ status: 0 });
    expect(JSON.parse(told.stdout)).toEqual(run?.result);
  });

  test('that is killed is told so by whoever follows it, and its rollback is heard from there on', async () => {
    const { manager, letGo, cli, root } = await makeInstallation();
    const { runId } = await manager.start(await manager.plan());
    const heard: UpgradeEvent[] = [];
    const following = (async () => {
      for await (const event of manager.follow(runId)) {
        heard.push(event);
        if (event.type !== 'step-started' || !event.step.endsWith('002_waits')) continue;
        process.kill((await manager.history())[0]?.pid ?? 0, 'SIGKILL');
        // As long as the step lives, somebody works on the run.
        letGo();
      }
    })();
    await expect(following).rejects.toMatchObject({
      failures: [{ code: 'RUN_UNFINISHED', hint: expect.stringContaining('upgrade resume') }],
    });
    const told = cli('follow', '--json');
    expect(told).toMatchObject({ status: 3, stderr: expect.stringContaining('is unfinished') });
    expect(JSON.parse(told.stdout)).toMatchObject({ failure: { code: 'RUN_UNFINISHED' } });
    await manager.rollback();
    const rest = await all(manager.follow(runId, { afterSeq: heard.at(-1)?.seq ?? 0 }));
    expect(rest.at(-1)).toMatchObject({ type: 'run-finished', outcome: 'rolled-back' });
    expect(rest.map(({ seq }) => seq).every((seq) => seq > (heard.at(-1)?.seq ?? 0))).toBe(true);
    expect(cli('follow').status).toBe(10);
    expect(readFileSync(path.join(root, 'VERSION'), 'utf8')).toBe('1.0.0\n');
  });

  test('gets the environment and the umask of its caller, and nobody can read what was handed over', async () => {
    const { manager, letGo, root } = await makeInstallation({ secret: 'a-secret-word' });
    letGo();
    const before = process.umask(0o027);
    const { runId } = await manager.start(await manager.plan()).finally(() => process.umask(before));
    await all(manager.follow(runId));
    // `${SECRET}` of the config is what the manager was opened with; the process has what this process has.
    expect(JSON.parse(readFileSync(path.join(root, 'seen'), 'utf8'))).toEqual({ home: process.env['HOME'], secret: 'a-secret-word' });
    expect((statSync(path.join(root, 'seen')).mode & 0o777).toString(8)).toBe('640');
    expect(readdirSync(path.join(root, '.upgrade'))).not.toContain('handover');
    expect(JSON.stringify((await manager.history())[0])).not.toContain('a-secret-word');
  });

  test.each(['before', 'after'] as const)('whose caller is killed %s it has started it is run once, whoever comes next', async (side) => {
    const { manager, letGo, root } = await makeInstallation();
    letGo();
    const args = ['--import', killer, executable, '--detach', '--yes', '-c', path.join(root, 'upgrade.yaml')];
    const caller = spawnSync(process.execPath, args, { env: { ...process.env, SECRET: 'x', KILL: side }, timeout: 60_000 });
    expect(caller.signal).toBe('SIGKILL');
    if (side === 'before') {
      // What was written stands in nobody's way, and is for its owner alone.
      const [id = ''] = readdirSync(path.join(root, '.upgrade/handover'));
      expect((statSync(path.join(root, '.upgrade/handover', id, 'run.json')).mode & 0o777).toString(8)).toBe('600');
      expect(await manager.history()).toEqual([]);
      await manager.start(await manager.plan());
    }
    const runs = await until('the end of the run', async () => {
      const found = await manager.history();
      return (found[0]?.outcome ?? null) === null ? null : found;
    });
    expect(runs.map(({ outcome }) => outcome)).toEqual(['committed']);
    expect(readFileSync(path.join(root, 'VERSION'), 'utf8')).toBe('2.0.0\n');
  });

  test('climbs ladders too', async () => {
    const { manager } = await makeInstallation();
    const { runId } = await manager.start(await manager.planLadders({ kind: 'up' }));
    expect((await all(manager.follow(runId))).at(-1)).toMatchObject({ type: 'run-finished', outcome: 'committed' });
    expect((await manager.status()).ladders).toMatchObject([{ name: 'main', height: 1, pending: 0 }]);
  });
});

describe('what keeps it from beginning is told as without --detach', () => {
  test('a preflight that finds something, with its code, and no trace of it', async () => {
    const { cli, root, manager } = await makeInstallation({ transition: 'requires: { env: [NOBODY_HAS_SET_THIS] }\n' });
    const told = cli('--detach', '--json');
    expect(told.status, told.stderr).toBe(3);
    expect(JSON.parse(told.stdout)).toMatchObject({ outcome: 'refused', runId: null, failure: { code: 'ENV_MISSING' } });
    await expect(manager.start(await manager.plan())).rejects.toMatchObject({ failures: [{ code: 'ENV_MISSING' }] });
    expect(existsSync(path.join(root, '.upgrade'))).toBe(false);
  });

  test('another run at work, and nothing to do', async () => {
    const { cli, manager, letGo } = await makeInstallation();
    const first = cli('--detach', '--json');
    const { runId }: { readonly runId: string } = JSON.parse(first.stdout);
    const second = cli('--detach', '--json');
    expect(second.status, second.stderr).toBe(75);
    expect(JSON.parse(second.stdout)).toMatchObject({ failure: { code: 'LOCK_HELD' } });
    letGo();
    await all(manager.follow(runId));
    await until('the lock to be free', async () => ((await manager.status()).lock === null ? true : null));
    const third = cli('--detach', '--json');
    expect(third.status, third.stderr).toBe(0);
    expect(JSON.parse(third.stdout)).toMatchObject({ outcome: 'nothing-to-do', version: '2.0.0' });
    await expect(manager.start(await manager.plan())).rejects.toMatchObject({ failures: [{ code: 'NOTHING_TO_START' }] });
  });
});

interface Made {
  readonly root: string;
  readonly manager: UpdateManager;
  /** The second step waits for it. */
  readonly letGo: () => void;
  readonly cli: (...args: readonly string[]) => { readonly status: number | null; readonly stdout: string; readonly stderr: string };
}

async function makeInstallation({ secret = 'x', transition = '' } = {}): Promise<Made> {
  const root = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'rungs-follow-')));
  folders.push(root);
  const write = (file: string, text: string): void => {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text, { mode: file.endsWith('.sh') ? 0o755 : 0o644 });
  };
  write('VERSION', '1.0.0\n');
  write(
    'upgrade.yaml',
    `product: product
version: { file: VERSION }
databases: { app: { sqlite: app.db } }
ladders: { main: { dir: ladder, database: app } }
backup: { include: [VERSION] }
verify:
  - { name: looks, command: [sh, -c, 'printf ''{"home":"%s","secret":"%s"}'' "$HOME" "\${SECRET}" > seen'] }
`,
  );
  write('app.db', '');
  write('ladder/001_items.sql', 'CREATE TABLE items (id INTEGER PRIMARY KEY);\n');
  write('migrations/v1.0.0_to_v2.0.0/transition.yaml', `description: Two steps\n${transition}`);
  write('migrations/v1.0.0_to_v2.0.0/001_first.sh', '#!/bin/sh\ntrue\n');
  write('migrations/v1.0.0_to_v2.0.0/002_waits.sh', '#!/bin/sh\n[ "$1" = backward ] || until [ -e go ]; do sleep 0.02; done\n');
  const config = path.join(root, 'upgrade.yaml');
  const manager = await UpdateManager.open({ config, env: { SECRET: secret } });
  return {
    root,
    manager,
    letGo: () => writeFileSync(path.join(root, 'go'), ''),
    cli: (...args) =>
      spawnSync(process.execPath, [executable, ...args, '-c', config], {
        encoding: 'utf8',
        env: { ...process.env, SECRET: secret, NO_COLOR: '1' },
        timeout: 60_000,
      }),
  };
}

async function all(events: AsyncIterable<UpgradeEvent>): Promise<readonly UpgradeEvent[]> {
  const heard: UpgradeEvent[] = [];
  for await (const event of events) heard.push(event);
  return heard;
}
