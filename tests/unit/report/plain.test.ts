// The whole text of runs, as people see it. A golden text that changes is read before it is accepted.
import { describe, expect, test } from 'vitest';
import { createInk } from '../../../src/report/layout.ts';
import { createOutput } from '../../../src/report/output.ts';
import { createPlainReporter } from '../../../src/report/plain.ts';
import type { Verbosity } from '../../../src/report/reporter.ts';
import { committedResult, failing, opening, refusedResult, rolledBackResult, stamped, strandedResult, succeeding } from './sample-run.ts';

interface Telling {
  readonly bodies?: Parameters<typeof stamped>[0];
  readonly result?: typeof committedResult | null;
  readonly columns?: number;
  readonly isTTY?: boolean;
  readonly verbosity?: Verbosity;
  readonly hasColor?: boolean;
}

function told({ bodies = [], result = null, columns = 80, isTTY = false, verbosity = 'normal', hasColor = false }: Telling): string {
  let text = '';
  const output = createOutput({
    write: (piece) => {
      text += piece;
    },
    columns,
    isTTY,
  });
  const reporter = createPlainReporter({ output, ink: createInk(hasColor), verbosity });
  for (const event of stamped(bodies)) reporter.onEvent(event);
  if (result !== null) reporter.finish(result);
  return text;
}

describe('the plain reporter', () => {
  test('a run that works', () => {
    expect(told({ bodies: succeeding, result: committedResult })).toMatchInlineSnapshot(`
      "home-server  0.1.0 → 0.3.0  4 steps

      ▸ preflight
        ! Nothing tells whether service proxy runs: it has no "health" and no "status"
          command and no "pidFile".
          Add one of them to services.proxy, so that a restart can be proven and not
          only believed.
      ✓ backup  45 files, 1.2 MB, read back and equal                            83 ms
      ✓ discovery                                                                <1 ms
      ▸ orchestration
        0.1.0 → 0.2.0
          ✓ 001_add_email  Add an email column to users                           5 ms
          ✓ 002_mail_config                                                      31 ms
        0.2.0 → 0.3.0
          ✓ 001_move_uploads  Move uploads into folders by year                  1.2 s
          ✓ 002_split_notes  Split notes from users, in batches              1 min 4 s
      ▸ restart
        ✓ api  healthy                                                           3.1 s
      ▸ verify
        ✓ api answers  2 attempts                                               110 ms
        ✓ users kept                                                              2 ms
      ✓ commit                                                                    4 ms

      ✓ home-server is at 0.3.0 now                                          1 min 9 s
        Was at 0.1.0. 2 steps, 1 service up, 2 probes passed, backup
        01JC3M4V7K2Q8Z5W9X0Y1A2B3C (1.2 MB).
      "
    `);
  });

  test('a run that fails and goes back', () => {
    expect(told({ bodies: failing, result: rolledBackResult })).toMatchInlineSnapshot(`
      "home-server  0.1.0 → 0.3.0  4 steps

      ▸ preflight
        ! Nothing tells whether service proxy runs: it has no "health" and no "status"
          command and no "pidFile".
          Add one of them to services.proxy, so that a restart can be proven and not
          only believed.
      ✓ backup  45 files, 1.2 MB, read back and equal                            83 ms
      ✓ discovery                                                                <1 ms
      ▸ orchestration
        0.1.0 → 0.2.0
          ✓ 001_add_email  Add an email column to users                           5 ms
          ✓ 002_mail_config                                                      31 ms
        0.2.0 → 0.3.0
          ✓ 001_move_uploads  Move uploads into folders by year                  1.2 s
          ✗ 002_split_notes  Split notes from users, in batches                 210 ms
            │ reading notes
            │ Traceback (most recent call last):
            │ ValueError: 3 rows without an owner
            ! left a process running: sleep 600 (PID 4711)
      ✗ orchestration failed                                                     1.5 s
      ↩ rollback
        ↩ v0.2.0_to_v0.3.0/001_move_uploads                                     300 ms
        ↩ v0.1.0_to_v0.2.0/002_mail_config                                        8 ms
        ↩ v0.1.0_to_v0.2.0/001_add_email                                          6 ms
        ✓ 45 paths compared with the backup: 1 put back, now all as before
        ✓ api  healthy                                                          900 ms

      ↩ home-server is at 0.1.0, as before                                       3.5 s
        The upgrade to 0.3.0 failed and was rolled back.

      ✗ Rungs met an error that it has no name for: the notes table has 3 rows without
        an owner
        v0.2.0_to_v0.3.0/002_split_notes · in orchestration · INTERNAL
        → This is a bug of ours: run the command again with -v and report what it
          prints. The journal stays resumable: "upgrade status" tells where it stands.

        Put back from the backup, after v0.1.0_to_v0.2.0/002_mail_config
          config/app.yaml  content differs from the backup after backward

        Next       upgrade history 01JC3M4V7K2Q8Z5W9X0Y1A2B3C
      "
    `);
  });

  test('a run that is refused, with all reasons', () => {
    expect(told({ result: refusedResult })).toMatchInlineSnapshot(`
      "
      ✗ home-server stays at 0.1.0                                               20 ms
        The upgrade to 0.3.0 was refused. Nothing was changed.

      ✗ Service web has no command to restart it.
        /srv/home-server/upgrade.yaml:12:3 · SERVICE_ACTION_MISSING
        → Add "restart", or "stop" and "start", to services.web.command in
          upgrade.yaml.

      ✗ The restart command of service proxy is "bin/proxy", but there is no such
        file.
        /srv/home-server/upgrade.yaml:14 · SERVICE_EXECUTABLE_MISSING
        → Install it, make it executable (chmod +x), or correct
          services.proxy.command.restart in upgrade.yaml.
      "
    `);
  });

  test('a run that is stranded, on a narrow terminal, quietly', () => {
    expect(told({ bodies: failing, result: strandedResult, columns: 60, verbosity: 'quiet' })).toMatchInlineSnapshot(`
      "
      ✗ STRANDED: home-server is between 0.1.0 and 0.3.0     3.5 s
        The upgrade to 0.3.0 failed, and the way back could not be
        completed. Everything that tells of it is kept; change
        nothing by hand before you have read on.

      ✗ Rungs met an error that it has no name for: the notes
        table has 3 rows without an owner
        v0.2.0_to_v0.3.0/002_split_notes · in orchestration ·
        INTERNAL
        │ reading notes
        │ Traceback (most recent call last):
        │ ValueError: 3 rows without an owner
        → This is a bug of ours: run the command again with -v and
          report what it prints. The journal stays resumable:
          "upgrade status" tells where it stands.

      ✗ Rungs met an error that it has no name for: the disk
        holding data/app.db is read-only
        in rollback · INTERNAL
        → This is a bug of ours: run the command again with -v and
          report what it prints. The journal stays resumable:
          "upgrade status" tells where it stands.

        Put back from the backup, after
        v0.1.0_to_v0.2.0/002_mail_config
          config/app.yaml  content differs from the backup after
          backward
        Backup     /srv/home-server/.upgrade/backups/
                   01JC3M4V7K2Q8Z5W9X0Y1A2B3C.tar.zst (good); it
                   is kept

        Next       upgrade rollback
      "
    `);
  });

  test('quiet says nothing of a run that works', () => {
    expect(told({ bodies: succeeding, result: committedResult, verbosity: 'quiet' })).toBe('');
  });

  test('but its warnings', () => {
    expect(told({ result: { ...committedResult, warnings: ['the clock jumped'] }, verbosity: 'quiet' })).toContain('! the clock jumped');
  });

  test('verbose shows every line of output, and what is good to know', () => {
    const text = told({ bodies: succeeding, verbosity: 'verbose' });
    expect(text).toContain('      │ reading notes\n');
    expect(text).toContain('  · two transitions\n');
  });

  test.each([
    {
      outcome: 'nothing-to-do' as const,
      result: { ...committedResult, outcome: 'nothing-to-do' as const },
      text: '✓ home-server is at 0.3.0',
    },
    { outcome: 'stopped' as const, result: { ...rolledBackResult, outcome: 'stopped' as const }, text: 'stopped at a failing step' },
  ])('$outcome', ({ result, text }) => {
    expect(told({ result })).toContain(text);
  });

  test('a downgrade is called one, and a cancelled run cancelled', () => {
    const cancelled = {
      ...rolledBackResult,
      from: committedResult.to,
      to: committedResult.from,
      failure: { code: 'CANCELLED' as const, message: 'The run was asked to stop (SIGINT).', hint: '' },
    };
    expect(told({ result: cancelled })).toContain('The downgrade to 0.1.0 was cancelled and was rolled back.');
  });

  test.each([40, 60, 80, 200])('no line is wider than a terminal of %d columns but those that are quoted', (columns) => {
    for (const line of told({ bodies: failing, result: rolledBackResult, columns }).split('\n')) {
      if (!line.includes('│') && !/\d (ms|s)$/.test(line)) expect(line.length).toBeLessThanOrEqual(columns);
    }
  });

  test('a terminal is told what is going on, on a line that leaves nothing behind', () => {
    const text = told({ bodies: opening, isTTY: true });
    expect(text).toContain('▸ preflight');
    const shown = text.split('\n').map((line) => line.split('\r\u001b[K').at(-1));
    expect(shown.filter((line) => line !== undefined && line.includes('\u001b'))).toEqual([]);
    expect(told({ bodies: opening, isTTY: false })).not.toContain('\r');
  });

  test('colours only where they are wanted', () => {
    expect(told({ bodies: failing, result: rolledBackResult, hasColor: true })).toContain('\u001b[31m✗');
    expect(told({ bodies: failing, result: rolledBackResult })).not.toContain('\u001b');
  });

  test('of a long output the last lines are shown, and how many came before', () => {
    const step = 'v0.1.0_to_v0.2.0/001_x';
    const lines = Array.from({ length: 25 }, (_, index) => `line ${index + 1}`);
    const text = told({
      bodies: [
        { type: 'step-started', step, action: 'apply', description: '' },
        {
          type: 'step-finished',
          step,
          action: 'apply',
          status: 'failed',
          durationMs: 1,
          failure: { code: 'INTERNAL', message: 'm', hint: 'h', log: lines },
        },
      ],
    });
    expect(text).toContain('… 15 lines before\n');
    expect(text).toContain('│ line 25\n');
    expect(text).not.toContain('│ line 15\n');
  });
});
