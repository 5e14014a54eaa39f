// A service that asks for the upgrade by which it is restarted itself: the run has to live on although everything in the service's unit is ended.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect } from 'vitest';
import { resultDocument } from '../../../schemas/result-document.ts';
import { startSystemSystemd } from '../../support/systemd-system.ts';
import { startUserSystemd, testWithSystemd as test, type TestSystemd } from '../../support/systemd-user.ts';
import { until } from '../../support/until.ts';
import { UpdateManager } from '../../../src/index.ts';

const repository = path.resolve(import.meta.dirname, '../../..');
const program = path.join(repository, 'tests/fixtures/services/asks-for-upgrade.ts');
const secret = 'a-token-that-nobody-may-see';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

describe.each([
  { scope: 'system', open: startSystemSystemd },
  { scope: 'user', open: startUserSystemd },
] as const)('in the $scope’s manager', ({ scope, open }) => {
  test('a unit whose whole control group is ended is restarted by the run that it asked for, and the run is committed', async () => {
    const systemd = await open();
    const { root, manager } = await makeInstallation(systemd);
    await startService(systemd, root, 'start');
    const before = await mainPid(systemd);
    const runId = await until('the run’s id', () => textOf(answerOf(root)['runId']));
    const { result } = await until('the end of the run', async () => {
      const run = (await manager.history()).find(({ id }) => id === runId);
      return run === undefined || run.outcome === null ? null : run;
    });
    expect(result).toMatchObject({ outcome: 'committed', version: '2.0.0' });
    expect(resultDocument.parse(result).services).toEqual([expect.objectContaining({ name: 'api', status: 'running' })]);
    // Another process, and the one that asked is gone with everything that was in its unit.
    expect(await mainPid(systemd)).not.toBe(before);
    expect(await systemd.run(['sh', '-c', `kill -0 ${before} 2>/dev/null && echo alive || echo gone`])).toBe('gone\n');
    // The environment was handed over, and nobody could see it but the run: not on a command line, not in the unit, not in a file that is left.
    expect(readFileSync(path.join(root, 'seen-by-step'), 'utf8')).toBe(`${secret}\n`);
    const shown = readFileSync(path.join(root, 'unit'), 'utf8');
    expect(shown).toContain('KillMode=process');
    expect(shown).toContain('Description=Upgrade of product from 1.0.0 to 2.0.0');
    expect(shown).not.toContain(secret);
    expect(readFileSync(path.join(root, 'command-lines'), 'utf8')).toContain('--handed-over');
    expect(readFileSync(path.join(root, 'command-lines'), 'utf8')).not.toContain(secret);
    expect(readdirSync(path.join(root, '.upgrade'))).not.toContain('handover');
    // What the unit was told of its own supervision is not passed on.
    expect(readFileSync(path.join(root, 'environment'), 'utf8')).not.toMatch(/INVOCATION_ID|NOTIFY_SOCKET|RUNGS_HANDED_OVER/u);
    // The unit of the run goes by itself.
    await until('the run’s unit to be collected', async () => {
      const units = await systemd.run(['systemctl', `--${scope}`, 'list-units', '--all', '--plain', '--no-legend', 'rungs-*']);
      return units.trim() === '' ? true : null;
    });
    const journal = await systemd.run(['journalctl', scope === 'user' ? '--user-unit' : '-u', `rungs-${runId}`, '-o', 'cat', '--no-pager']);
    expect(journal).toContain('is at 2.0.0 now');
    expect(journal).not.toContain(secret);
  });
});

describe('a run that would end itself', () => {
  test('is refused where the service runs it by itself, before anything is changed', async () => {
    const systemd = await startUserSystemd();
    const { root, manager } = await makeInstallation(systemd);
    await startService(systemd, root, 'run');
    const answer = await until('the answer', () => (textOf(answerOf(root)['outcome']) === null ? null : answerOf(root)));
    expect(answer).toMatchObject({ outcome: 'refused', runId: null, failure: { code: 'RUN_INSIDE_SERVICE', phase: 'preflight' } });
    expect(await manager.history()).toEqual([]);
    expect(readdirSync(root).toSorted()).toEqual(['VERSION', 'asked.json', 'migrations', 'upgrade.yaml']);
  });

  test('is refused where no manager can be had that would take it out, and whoever asked hears why', async () => {
    const systemd = await startUserSystemd();
    const { root, manager } = await makeInstallation(systemd);
    // What every program tells by that systemd runs. The units are still there, and so is the control group that they are in.
    await systemd.run(['rmdir', '/run/systemd/system']);
    await startService(systemd, root, 'start');
    const { error } = await until('the answer', () => (answerOf(root)['error'] === undefined ? null : answerOf(root)));
    expect(error).toMatchObject({ failures: [{ code: 'RUN_INSIDE_SERVICE', hint: expect.stringContaining('enable-linger') }] });
    expect(await manager.history()).toEqual([]);
    expect(readdirSync(root).toSorted()).toEqual(['VERSION', 'asked.json', 'migrations', 'upgrade.yaml']);
  });
});

async function makeInstallation(systemd: TestSystemd): Promise<{ readonly root: string; readonly manager: UpdateManager }> {
  const root = mkdtempSync(path.join(tmpdir(), 'rungs-own-unit-'));
  folders.push(root);
  writeFileSync(path.join(root, 'VERSION'), '1.0.0\n');
  writeFileSync(
    path.join(root, 'upgrade.yaml'),
    `product: product
version: { file: VERSION }
backup: { include: [VERSION] }
services:
  api:
    systemd: api.service
    scope: ${systemd.scope}
    stableFor: 500ms
verify:
  - { name: knows its secret, command: [sh, -c, "test \\"$TOKEN\\" = '\${TOKEN}'"] }
`,
  );
  const step = path.join(root, 'migrations/v1.0.0_to_v2.0.0/001_look_around.sh');
  mkdirSync(path.dirname(step), { recursive: true });
  writeFileSync(
    step,
    `#!/bin/sh
# rungs: { requires_restart: [api] }
printenv TOKEN > seen-by-step
env > environment
systemctl --${systemd.scope} show "rungs-$UPGRADE_RUN_ID.service" > unit
cat /proc/[0-9]*/cmdline | tr '\\0' ' ' > command-lines
`,
    { mode: 0o755 },
  );
  return { root, manager: await UpdateManager.open({ config: path.join(root, 'upgrade.yaml'), env: { TOKEN: secret } }) };
}

async function startService(systemd: TestSystemd, root: string, how: 'start' | 'run'): Promise<void> {
  const text = `[Service]
Environment=TOKEN=${secret}
Environment=PATH=/usr/bin:/bin:/usr/sbin:/sbin
ExecStart=${process.execPath} ${program} ${root} ${how}
KillMode=control-group
`;
  const file = path.join(systemd.unitDir, 'api.service');
  await systemd.run(['sh', '-c', 'printf %s "$2" > "$1"', 'sh', file, text]);
  await systemd.run(['systemctl', `--${systemd.scope}`, 'daemon-reload']);
  await systemd.run(['systemctl', `--${systemd.scope}`, 'start', 'api.service']);
}

async function mainPid(systemd: TestSystemd): Promise<string> {
  return (await systemd.run(['systemctl', `--${systemd.scope}`, 'show', '--property=MainPID', '--value', 'api.service'])).trim();
}

function answerOf(root: string): Readonly<Record<string, unknown>> {
  const file = path.join(root, 'asked.json');
  if (!existsSync(file)) return {};
  const text = readFileSync(file, 'utf8');
  const answer: unknown = text === '' ? {} : JSON.parse(text);
  return typeof answer === 'object' && answer !== null ? { ...answer } : {};
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
