// What the other commands print. A golden text that changes is read before it is accepted.
import { describe, expect, test } from 'vitest';
import type { BackupRecord } from '../../../src/model/ports.ts';
import type { RunRecord } from '../../../src/model/run.ts';
import { parseVersion } from '../../../src/model/version.ts';
import { renderBackups } from '../../../src/report/backups.ts';
import { renderFailures } from '../../../src/report/failures.ts';
import { renderFindings } from '../../../src/report/findings.ts';
import { renderHistory, renderRun } from '../../../src/report/history.ts';
import { renderStatus, type StatusView } from '../../../src/report/status.ts';
import { failing, refusedResult, rolledBackResult, runId, stamped, stepFailure } from './sample-run.ts';

const at = '2026-01-02T03:04:05.678Z';
const run: RunRecord = {
  id: runId,
  product: 'home-server',
  from: parseVersion('0.1.0'),
  to: parseVersion('0.3.0'),
  direction: 'up',
  planHash: 'sha256:abc',
  course: 'backwards',
  phase: 'rollback',
  startedAt: at,
  finishedAt: '2026-01-02T03:05:07.678Z',
  outcome: 'rolled-back',
  failure: stepFailure,
  backupId: runId,
  attempts: 2,
  host: 'pi',
  pid: 4,
  result: null,
};
const unfinished: RunRecord = { ...run, outcome: null, finishedAt: null, phase: 'orchestration', course: 'forwards', failure: null };
const backup: BackupRecord = {
  id: runId,
  path: `/srv/home-server/.upgrade/backups/${runId}.tar.zst`,
  bytes: 1_234_567,
  files: 45,
  verified: true,
  createdAt: at,
  version: '0.1.0',
  manifest: 'm',
  runId,
};
const pending: StatusView = {
  product: 'home-server',
  version: '0.1.0',
  latest: '0.3.0',
  pending: ['v0.1.0_to_v0.2.0', 'v0.2.0_to_v0.3.0'],
  state: 'pending',
  run: null,
  lock: null,
  lastRun: run,
  backups: [backup],
  ladders: [{ name: 'main', height: 12, latest: 23, pending: 2 }],
  problems: [],
};
const text = (lines: readonly string[]) => `\n${lines.join('\n')}\n`;

describe('status', () => {
  test('with something pending', () =>
    expect(text(renderStatus(pending))).toMatchInlineSnapshot(`
    "
    home-server is at 0.1.0

      0.3.0 can be reached by 2 transitions:
        v0.1.0_to_v0.2.0
        v0.2.0_to_v0.3.0
      → "upgrade plan" shows what would be done, "upgrade" does it.

      Last run   0.1.0 → 0.3.0, rolled back 2026-01-02 03:05:07 UTC
      Backups    1, the newest of 2026-01-02 03:04:05 UTC (1.2 MB)
      Ladder     main  12 of 23, 2 pending
    "
  `));
  test('up to date', () =>
    expect(
      text(renderStatus({ ...pending, version: '0.3.0', pending: [], state: 'up-to-date', ladders: [], backups: [], lastRun: null })),
    ).toBe('\nhome-server is at 0.3.0  up to date\n'));
  test('with an unfinished run', () =>
    expect(text(renderStatus({ ...pending, state: 'unfinished', run: unfinished, lastRun: unfinished }))).toMatchInlineSnapshot(`
    "
    home-server is at 0.1.0

    ! Run 01JC3M4V7K2Q8Z5W9X0Y1A2B3C (0.1.0 → 0.3.0) is unfinished: it stopped in
      phase orchestration.
      → "upgrade resume" finishes it, "upgrade rollback" undoes it.

      0.3.0 can be reached by 2 transitions:
        v0.1.0_to_v0.2.0
        v0.2.0_to_v0.3.0

      Backups    1, the newest of 2026-01-02 03:04:05 UTC (1.2 MB)
      Ladder     main  12 of 23, 2 pending
    "
  `));
  test('with a run that is going on', () => {
    const lines = renderStatus({
      ...pending,
      state: 'unfinished',
      run: unfinished,
      lock: { host: 'pi', pid: 12, since: at, phase: 'backup' },
    });
    expect(lines.slice(2, 5)).toEqual([
      `▸ Run ${runId} (0.1.0 → 0.3.0) is going on, in phase backup:`,
      '  PID 12 on pi since 2026-01-02 03:04:05 UTC.',
      '  → "upgrade follow" watches it.',
    ]);
  });
  test('with a stranded run', () =>
    expect(text(renderStatus({ ...pending, state: 'error', run: { ...run, outcome: 'stranded' } }))).toContain(
      `"upgrade history ${runId}" tells why.`,
    ));
  test('with a version that cannot be read', () =>
    expect(text(renderStatus({ ...pending, version: null, latest: null, pending: [], state: 'error', problems: [stepFailure] }))).toContain(
      'home-server is at an unknown version\n\n✗ ',
    ));
  test('with many transitions pending', () => {
    const lines = renderStatus({ ...pending, pending: Array.from({ length: 20 }, (_, index) => `v0.${index}.0_to_v0.${index + 1}.0`) });
    expect(lines).toContain('    … and 12 more');
  });
});

describe('history', () => {
  test('of all runs', () =>
    expect(
      text(
        renderHistory([
          run,
          { ...run, from: parseVersion('0.0.9'), to: parseVersion('0.1.0'), outcome: 'committed', failure: null },
          unfinished,
        ]),
      ),
    ).toMatchInlineSnapshot(`
    "
    ↩ 0.1.0 → 0.3.0  rolled back    2026-01-02 03:04:05 UTC                1 min 2 s
      01JC3M4V7K2Q8Z5W9X0Y1A2B3C  v0.2.0_to_v0.3.0/002_split_notes
    ✓ 0.0.9 → 0.1.0  committed      2026-01-02 03:04:05 UTC                1 min 2 s
      01JC3M4V7K2Q8Z5W9X0Y1A2B3C
    ▸ 0.1.0 → 0.3.0  unfinished     2026-01-02 03:04:05 UTC
      01JC3M4V7K2Q8Z5W9X0Y1A2B3C
    "
  `));
  test('of none', () => expect(renderHistory([])).toEqual(['Nothing was run yet.']));
  test('of one run', () => {
    const step = { position: 0, startedAt: at, attempts: 1 };
    const steps = [
      { ...step, stepId: 'v0.1.0_to_v0.2.0/001_add_email', status: 'reverted' as const, durationMs: 6, failure: null },
      {
        ...step,
        stepId: 'v0.2.0_to_v0.3.0/002_split_notes',
        status: 'failed' as const,
        attempts: 2,
        durationMs: 210,
        failure: stepFailure,
      },
      { ...step, stepId: 'v0.2.0_to_v0.3.0/003_last', status: 'not-run' as const, attempts: 0, durationMs: null, failure: null },
    ];
    expect(text(renderRun({ run: { ...run, result: rolledBackResult }, steps, events: stamped(failing) }))).toMatchInlineSnapshot(`
      "
      ↩ 0.1.0 → 0.3.0  rolled back
        Run        01JC3M4V7K2Q8Z5W9X0Y1A2B3C
        Started    2026-01-02 03:04:05 UTC on pi
        Took       1 min 2 s
        Taken up   2 times
        Backup     01JC3M4V7K2Q8Z5W9X0Y1A2B3C

        Phases
        ✓ preflight                                                              12 ms
        ✓ backup                                                                 83 ms
        ✓ discovery                                                              <1 ms
        ✗ orchestration                                                          1.5 s
        ↩ rollback                                                               1.8 s

        Timeline
          preflight                      ━                                      12 ms
          backup                         ━━                                     83 ms
          discovery                      ━                                      <1 ms
          orchestration                  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━           1.5 s
            002_mail_config              ─                                      31 ms
            001_move_uploads             ───────────────────────                1.2 s
            002_split_notes              ────                                  210 ms
          rollback                       ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━      1.8 s
            001_move_uploads             ──────                                300 ms

        Steps
        ↩ v0.1.0_to_v0.2.0/001_add_email                                          6 ms
        ✗ v0.2.0_to_v0.3.0/002_split_notes  failed  2 attempts                  210 ms
        · v0.2.0_to_v0.3.0/003_last  not-run

        Services and probes
        ✓ api  healthy                                                          900 ms

        Put back from the backup
          config/app.yaml  content differs from the backup after backward

      ✗ Rungs met an error that it has no name for: the notes table has 3 rows without
        an owner
        v0.2.0_to_v0.3.0/002_split_notes · in orchestration · INTERNAL
        │ reading notes
        │ Traceback (most recent call last):
        │ ValueError: 3 rows without an owner
        → This is a bug of ours: run the command again with -v and report what it
          prints. The journal stays resumable: "upgrade status" tells where it stands.
      "
    `);
  });
});

test('backups, with the folder in which they lie', () =>
  expect(text(renderBackups([backup, { ...backup, bytes: 12, files: 1, version: null, verified: false }]))).toMatchInlineSnapshot(`
  "
  ✓ 01JC3M4V7K2Q8Z5W9X0Y1A2B3C  2026-01-02 03:04:05 UTC  0.1.0  1.2 MB  45 files
  ✗ 01JC3M4V7K2Q8Z5W9X0Y1A2B3C  2026-01-02 03:04:05 UTC         12 B    1 file
    in /srv/home-server/.upgrade/backups
  "
`));
test('a backup that something may have been written into is marked', () =>
  expect(
    text(
      renderBackups([
        { ...backup, simultaneous: false },
        { ...backup, simultaneous: true },
      ]),
    ),
  ).toMatchInlineSnapshot(`
  "
  ✓ 01JC3M4V7K2Q8Z5W9X0Y1A2B3C  2026-01-02 03:04:05 UTC  0.1.0  1.2 MB  45 files *
  ✓ 01JC3M4V7K2Q8Z5W9X0Y1A2B3C  2026-01-02 03:04:05 UTC  0.1.0  1.2 MB  45 files
    * Not of one moment: something may have been written while it was made.
    in /srv/home-server/.upgrade/backups
  "
`));
test('no backup', () => expect(renderBackups([])).toHaveLength(1));

test('findings: what blocks first', () => {
  const findings = refusedResult.failures.map((failure, index) => ({
    level: index === 0 ? ('warn' as const) : ('block' as const),
    ...failure,
  }));
  expect(text(renderFindings(findings))).toMatchInlineSnapshot(`
    "
    ✗ The restart command of service proxy is "bin/proxy", but there is no such
      file.
      /srv/home-server/upgrade.yaml:14 · SERVICE_EXECUTABLE_MISSING
      → Install it, make it executable (chmod +x), or correct
        services.proxy.command.restart in upgrade.yaml.

    ! Service web has no command to restart it.
      /srv/home-server/upgrade.yaml:12:3 · SERVICE_ACTION_MISSING
      → Add "restart", or "stop" and "start", to services.web.command in
        upgrade.yaml.
    "
  `);
  expect(renderFindings([])).toEqual(['✓ Nothing stands in the way.']);
});

test('failures, all of them, and harmless for a terminal', () => {
  const evil = { ...stepFailure, message: 'file "\u001b]0;owned\u0007x" is wrong', log: ['\u001b[2Jgone'] };
  const shown = text(renderFailures([...refusedResult.failures, evil]));
  expect(shown).toContain('/srv/home-server/upgrade.yaml:12:3 · SERVICE_ACTION_MISSING');
  expect(shown).toContain('/srv/home-server/upgrade.yaml:14 · SERVICE_EXECUTABLE_MISSING');
  expect(shown).toContain('✗ file "x" is wrong');
  expect(shown).not.toContain('\u001b');
});

test.each([40, 60, 80])('nothing is wider than %d columns', (columns) => {
  const style = { columns };
  const lines = [
    ...renderStatus({ ...pending, run: unfinished, state: 'unfinished' }, style),
    ...renderBackups([backup], style),
    ...renderFindings(
      refusedResult.failures.map((one) => ({ level: 'block', ...one })),
      style,
    ),
    ...renderHistory([run], style),
  ];
  expect(lines.filter((line) => line.length > columns)).toEqual([]);
});
