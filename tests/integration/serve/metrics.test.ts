// The numbers are those of the journal, served and written to a file, and the file is replaced in one go.
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { makeSmall } from '../cli/installation.ts';
import { startServe, type Served } from './server.ts';

let served: Served | null = null;
afterEach(async () => {
  await served?.stop();
  served = null;
});

/** Name with labels to value. */
function read(text: string): ReadonlyMap<string, number> {
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line): [string, number] => {
        const [, name = '', value = ''] = /^(.*) (\S+)$/.exec(line) ?? [];
        return [name.replace(/,?product="small"/, '').replace('{}', ''), Number(value)];
      }),
  );
}

test('served metrics follow the runs', async () => {
  const small = makeSmall({ fails: true });
  served = await startServe(small);
  const look = async () => read((await served?.ask('/metrics'))?.body ?? '');
  const before = await look();
  expect(before.get('rungs_state{state="pending"}')).toBe(1);
  expect(before.get('rungs_pending_steps')).toBe(3);
  expect(before.get('rungs_backups')).toBe(0);
  expect((await small.upgrade(['--to', '2.0.0'])).code).toBe(0);
  const committed = await look();
  expect(committed.get('rungs_runs{outcome="committed"}')).toBe(1);
  expect(committed.get('rungs_last_run_step_duration_seconds_count')).toBe(2);
  expect(committed.get('rungs_last_run_phase_duration_seconds{phase="backup"}')).toBeGreaterThan(0);
  expect(committed.get('rungs_last_backup_bytes')).toBeGreaterThan(0);
  expect(committed.get('rungs_lock_age_seconds')).toBe(0);
  const success = committed.get('rungs_last_success_time_seconds') ?? 0;
  expect(Math.abs(Date.now() / 1_000 - success)).toBeLessThan(600);
  expect((await small.upgrade(['--to', '3.0.0'])).code).toBe(10);
  const failed = await look();
  expect(failed.get('rungs_last_run_outcome{outcome="rolled-back"}')).toBe(1);
  expect(failed.get('rungs_last_run_outcome{outcome="committed"}')).toBe(0);
  expect(failed.get('rungs_last_success_time_seconds')).toBe(success);
});

test('a run writes them for node_exporter, and leaves nothing half-written beside', async () => {
  const small = makeSmall({ config: 'metrics: { textfile: ../collector/rungs.prom }\n' });
  mkdirSync(path.join(small.dir, 'collector'));
  expect((await small.upgrade(['--to', '1.1.0'])).code).toBe(0);
  expect(readdirSync(path.join(small.dir, 'collector'))).toEqual(['rungs.prom']);
  const text = readFileSync(path.join(small.dir, 'collector/rungs.prom'), 'utf8');
  expect(read(text).get('rungs_runs{outcome="committed"}')).toBe(1);
  expect(text).toContain('version="1.1.0"');
});

test('a folder that is not there is a warning, and the upgrade stands', async () => {
  const small = makeSmall({ config: 'metrics: { textfile: /nowhere/rungs.prom }\n' });
  const { code, stdout } = await small.upgrade(['--to', '1.1.0', '--json']);
  expect(code).toBe(0);
  expect((JSON.parse(stdout) as { warnings: readonly string[] }).warnings.join()).toContain('/nowhere/rungs.prom');
  expect(existsSync('/nowhere')).toBe(false);
});
