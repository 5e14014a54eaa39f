// Under a real systemd: the unit that is printed comes up hardened as it is, and a run that a unit starts tells the journal what it was.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect } from 'vitest';
import { startSystemSystemd } from '../../support/systemd-system.ts';
import { testWithSystemd } from '../../support/systemd-user.ts';
import { executable } from '../cli/installation.ts';
import { until } from '../pipeline/installation.ts';
import { makeScene } from './scene.ts';

let systemd: Awaited<ReturnType<typeof startSystemSystemd>>;
beforeAll(async () => {
  systemd = await startSystemSystemd();
});

const quiet = async (work: Promise<string>): Promise<string> => work.catch((error: unknown) => String(error));

testWithSystemd('the printed unit is up when it listens, hardened as it is, and answers', async () => {
  const scene = makeScene({ steps: 1 });
  try {
    const token = (await scene.upgrade(['token', 'create', 'unit'])).stdout.trim();
    const { stdout } = await scene.upgrade(['serve', '--print-unit', '--listen', '127.0.0.1:7199']);
    // Tests lie where a real installation does not: in the folder for temporary files.
    await systemd.writeUnit(
      'rungs-serve.service',
      stdout.replace('PrivateTmp=yes', 'PrivateTmp=no').replace(/ProtectHome=.*/, 'ProtectHome=no'),
    );
    await systemd.run(['systemctl', 'daemon-reload']);
    const started = await quiet(systemd.run(['systemctl', 'start', 'rungs-serve.service']));
    const log = await quiet(systemd.run(['journalctl', '-u', 'rungs-serve.service', '-o', 'cat', '--no-pager']));
    expect(`${started}${log}`).toContain('small: http://127.0.0.1:7199');
    const status = await systemd.run(['systemctl', 'show', 'rungs-serve.service', '-p', 'ActiveState', '-p', 'StatusText']);
    expect(status).toContain('ActiveState=active');
    expect(status).toContain('StatusText=http://127.0.0.1:7199');
    const answer = await systemd.run([
      process.execPath,
      '-e',
      `fetch('http://127.0.0.1:7199/api/v1/status', { headers: { authorization: 'Bearer ${token}' } }).then(async (answer) => console.log(await answer.text()))`,
    ]);
    expect(JSON.parse(answer)).toMatchObject({ product: 'small', version: '1.0.0' });
    await systemd.run(['systemctl', 'stop', 'rungs-serve.service']);
    expect(await systemd.run(['systemctl', 'show', 'rungs-serve.service', '-p', 'Result'])).toContain('Result=success');
  } finally {
    await quiet(systemd.run(['systemctl', 'stop', 'rungs-serve.service']));
    scene.remove();
  }
});

testWithSystemd('a run that a unit starts is in the journal with its fields, and moves the deadline of the start', async () => {
  const scene = makeScene({ steps: 1 });
  const folder = mkdtempSync(path.join(scene.dir, 'unit-'));
  try {
    const script = path.join(folder, 'start.sh');
    writeFileSync(
      script,
      `#!/bin/sh\n${process.execPath} ${executable} --to 3.0.0 --yes -c ${scene.root}/upgrade.yaml\nsystemd-notify --ready\nexec sleep 1000\n`,
      {
        mode: 0o755,
      },
    );
    // The start may take 10 s, and the run takes longer than that.
    await systemd.writeUnit('migrates.service', `[Service]\nType=notify\nNotifyAccess=all\nTimeoutStartSec=10\nExecStart=${script}\n`);
    await systemd.run(['systemctl', 'daemon-reload']);
    const started = systemd.run(['systemctl', 'start', 'migrates.service']);
    void started.catch(() => undefined);
    const show = async (): Promise<string> =>
      systemd.run(['systemctl', 'show', 'migrates.service', '-p', 'StatusText', '-p', 'SubState', '-p', 'ExecMainStartTimestampMonotonic']);
    await until('the status says what it does', async () => (await show()).includes('StatusText=Upgrade: orchestration'), 60_000);
    const uptime = async (): Promise<number> => Number((await systemd.run(['cat', '/proc/uptime'])).split(' ')[0]) * 1e6;
    const [, begun = '0'] = /Timestamp(?:Monotonic)?=(\d+)/.exec(await show()) ?? [];
    await until('the usual deadline is over', async () => (await uptime()) - Number(begun) > 12e6, 60_000);
    expect(await show()).toContain('SubState=start');
    scene.go('fail');
    await started;
    const lines = (await systemd.run(['journalctl', 'SYSLOG_IDENTIFIER=rungs', '-o', 'json', '--no-pager'])).trim().split('\n');
    const entries = lines.map((line) => JSON.parse(line) as Record<string, string>);
    expect(entries.find(({ RUNGS_EVENT }) => RUNGS_EVENT === 'step-finished')).toMatchObject({
      PRIORITY: '3',
      RUNGS_STEP: 'v2.0.0_to_v3.0.0/0002_count',
      RUNGS_CODE: 'STEP_FAILED',
    });
    expect(entries.at(-1)).toMatchObject({
      RUNGS_EVENT: 'run-finished',
      RUNGS_OUTCOME: 'rolled-back',
      MESSAGE_ID: '5f0c5d5c8b8f4b6d9d2b1c0a7e3f9a41',
      OBJECT_SYSTEMD_UNIT: 'migrates.service',
    });
    expect(new Set(entries.map(({ RUNGS_RUN_ID }) => RUNGS_RUN_ID)).size).toBe(1);
  } finally {
    await quiet(systemd.run(['systemctl', 'stop', 'migrates.service']));
    rmSync(folder, { recursive: true, force: true });
    scene.remove();
  }
});
