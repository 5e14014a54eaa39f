// What the other tests build on: real systemd managers of one's own, of both scopes, with a journal.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { startSystemSystemd } from '../../support/systemd-system.ts';
import { startUserSystemd, testWithSystemd as test } from '../../support/systemd-user.ts';
import { until } from '../../support/until.ts';

const unit = '[Service]\nExecStart=/bin/sh -c "echo hello from here; exec sleep 1000"\n';

describe('the user’s manager', () => {
  test('restarts a unit as a new process, keeps its lines, and leaves no mount and no process', async () => {
    const mounts = readFileSync('/proc/mounts', 'utf8');
    const systemd = await startUserSystemd();
    writeFileSync(path.join(systemd.unitDir, 'a.service'), unit);
    await systemd.run(['systemctl', '--user', 'daemon-reload']);
    await systemd.run(['systemctl', '--user', 'start', 'a.service']);
    const show = async (): Promise<string> => systemd.run(['systemctl', '--user', 'show', '-p', 'InvocationID,ActiveState', 'a.service']);
    const before = await show();
    expect(before).toContain('ActiveState=active');
    await systemd.run(['systemctl', '--user', 'restart', 'a.service']);
    expect(await show()).toContain('ActiveState=active');
    expect(await show()).not.toBe(before);
    const lines = await until('both lines', async () => {
      const found = await systemd.run(['journalctl', '--user-unit', 'a.service', '-o', 'cat', '--no-pager']);
      return found.split('hello from here').length === 3 ? found : null;
    });
    expect(lines).toContain('hello from here');
    await systemd.stop();
    expect(readFileSync('/proc/mounts', 'utf8')).toBe(mounts);
  });
});

describe('the system’s manager', () => {
  test('runs units of its own and transient ones, and nothing of the machine', async () => {
    const systemd = await startSystemSystemd();
    await systemd.writeUnit('b.service', unit);
    await systemd.run(['systemctl', 'daemon-reload']);
    await systemd.run(['systemctl', 'start', 'b.service']);
    await systemd.run(['systemd-run', '--collect', '--unit', 'passing', 'sleep', '1000']);
    const services = await systemd.run(['systemctl', 'list-units', '--type=service', '--plain', '--no-legend', '--no-pager']);
    expect(
      services
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split(' ')[0]),
    ).toEqual(['b.service', 'passing.service', 'systemd-journald.service']);
    const lines = await until('its line', async () => {
      const found = await systemd.run(['journalctl', '-u', 'b.service', '-o', 'cat', '--no-pager']);
      return found.includes('hello') ? found : null;
    });
    expect(lines).toContain('hello from here');
    await systemd.stop();
  });
});
