// Calls that cannot be what was meant: each is told with code, hint and exit code, in text and as one JSON document, and changes nothing on disk.
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { snapshot } from '../../unit/discover/tree.ts';
import { makeSmall } from './installation.ts';

interface BadCall {
  readonly args: readonly string[];
  readonly code: string;
  readonly exit: number;
  readonly message: RegExp;
  readonly hint: RegExp;
}

const calls: readonly BadCall[] = [
  { args: ['statsu'], code: 'UNKNOWN_COMMAND', exit: 2, message: /"statsu".*"status"/, hint: /upgrade --help/ },
  { args: ['wibble'], code: 'UNKNOWN_COMMAND', exit: 2, message: /no command "wibble"\./, hint: /upgrade --help/ },
  { args: ['rolback', '--json'], code: 'UNKNOWN_COMMAND', exit: 2, message: /"rollback"/, hint: /upgrade --help/ },
  { args: ['statsu', '--frob'], code: 'UNKNOWN_COMMAND', exit: 2, message: /"status"/, hint: /upgrade --help/ },
  { args: ['--frmo', '1.0.0'], code: 'UNKNOWN_FLAG', exit: 2, message: /"upgrade" has no flag "--frmo".*"--from"/, hint: /upgrade --help/ },
  {
    args: ['status', '--jsn'],
    code: 'UNKNOWN_FLAG',
    exit: 2,
    message: /"upgrade status" has no flag "--jsn".*"--json"/,
    hint: /upgrade status --help/,
  },
  { args: ['status', '--format', 'text'], code: 'UNKNOWN_FLAG', exit: 2, message: /no flag "--format"/, hint: /"upgrade plan" has it/ },
  { args: ['plan', '-x'], code: 'UNKNOWN_FLAG', exit: 2, message: /no flag "-x"/, hint: /upgrade plan --help/ },
  {
    args: ['--dry-run', 'backup', 'create'],
    code: 'FLAG_MISPLACED',
    exit: 2,
    message: /"upgrade backup create" has no flag "--dry-run"/,
    hint: /Leave it out/,
  },
  { args: ['--to', '2.0.0', 'status'], code: 'FLAG_MISPLACED', exit: 2, message: /"--to"/, hint: /upgrade status --help/ },
  { args: ['status', 'extra'], code: 'USAGE', exit: 2, message: /"extra" more than it takes/, hint: /upgrade status --help/ },
  { args: ['history', 'a', 'b', 'c'], code: 'USAGE', exit: 2, message: /"b", "c"/, hint: /upgrade history --help/ },
  { args: ['plan', '--to'], code: 'USAGE', exit: 2, message: /--to/, hint: /upgrade plan --help/ },
  { args: ['plan', '--format', 'xml'], code: 'USAGE', exit: 2, message: /text, json, mermaid/, hint: /upgrade plan --help/ },
  { args: ['follow', '--after', '-1'], code: 'USAGE', exit: 2, message: /whole number/, hint: /upgrade follow --help/ },
  {
    args: ['resume', '--only-forward', '--only-backward'],
    code: 'USAGE',
    exit: 2,
    message: /cannot be used with/,
    hint: /upgrade resume --help/,
  },
  { args: ['backup'], code: 'COMMAND_MISSING_WORD', exit: 2, message: /does not say what to do/, hint: /upgrade backup create/ },
  { args: ['backup', 'lst'], code: 'UNKNOWN_COMMAND', exit: 2, message: /"list"/, hint: /upgrade backup --help/ },
  { args: ['backup', 'restore'], code: 'USAGE', exit: 2, message: /id/, hint: /upgrade backup restore --help/ },
  { args: ['backup', 'export', 'x'], code: 'USAGE', exit: 2, message: /file/, hint: /upgrade backup export --help/ },
  { args: ['backup', 'verify', 'nope'], code: 'BACKUP_UNKNOWN', exit: 3, message: /nope/, hint: /backup list/ },
  { args: ['backup', 'restore', 'nope', 'config'], code: 'BACKUP_UNKNOWN', exit: 3, message: /nope/, hint: /backup list/ },
  { args: ['--to', 'two'], code: 'INVALID_VERSION', exit: 2, message: /"two".*--to/, hint: /MAJOR\.MINOR\.PATCH/ },
  { args: ['plan', '--from', '1'], code: 'INVALID_VERSION', exit: 2, message: /"1".*--from/, hint: /MAJOR\.MINOR\.PATCH/ },
  { args: ['--from', '1.5.0'], code: 'FROM_MISMATCH', exit: 3, message: /1\.5\.0 contradicts.*1\.0\.0/, hint: /--from/ },
  {
    args: ['--to', '0.9.0'],
    code: 'DOWNGRADE_REFUSED',
    exit: 3,
    message: /0\.9\.0 is older than the installed 1\.0\.0/,
    hint: /--allow-downgrade/,
  },
  { args: ['--plan-hash', 'sha256:0'], code: 'PLAN_CHANGED', exit: 3, message: /expected sha256:0/, hint: /upgrade plan/ },
  { args: ['-c', 'nope.yaml', 'status'], code: 'CONFIG_NOT_FOUND', exit: 2, message: /nope\.yaml does not exist/, hint: /--config FILE/ },
  { args: ['status', '--root', 'nowhere'], code: 'ROOT_NOT_FOUND', exit: 2, message: /nowhere does not exist/, hint: /--root DIR/ },
  { args: ['resume'], code: 'NO_UNFINISHED_RUN', exit: 3, message: /no unfinished run/, hint: /upgrade status/ },
  { args: ['rollback', '--dry-run'], code: 'NO_UNFINISHED_RUN', exit: 3, message: /no unfinished run/, hint: /upgrade status/ },
  { args: ['history', '01NOPE'], code: 'RUN_UNKNOWN', exit: 3, message: /01NOPE/, hint: /upgrade history/ },
  { args: ['follow'], code: 'RUN_UNKNOWN', exit: 3, message: /none was ever begun/, hint: /upgrade history/ },
  { args: ['new', 'add_email'], code: 'NEW_STEP_ARGUMENTS', exit: 2, message: /two versions and a name/, hint: /--ladder NAME/ },
  {
    args: ['new', '2.0.0', '1.0.0', 'back'],
    code: 'TRANSITION_NOT_UPWARD',
    exit: 2,
    message: /1\.0\.0 is not above 2\.0\.0/,
    hint: /backward/,
  },
  { args: ['new', '2.0.0', 'next', 'x'], code: 'INVALID_VERSION', exit: 2, message: /"next"/, hint: /MAJOR/ },
  { args: ['new', '2.0.0', '2.1.0', 'Add Email'], code: 'BAD_STEP_NAME', exit: 2, message: /"Add Email"/, hint: /add_email/ },
  { args: ['new', '2.0.0', '2.1.0', 'x', '--kind', 'rb'], code: 'USAGE', exit: 2, message: /ts, sql, sh, py/, hint: /upgrade new --help/ },
  { args: ['new', 'x', '--ladder', 'mian'], code: 'LADDER_UNKNOWN', exit: 2, message: /"mian".*"main"/, hint: /main/ },
  { args: ['adopt', '--ladder', 'nope'], code: 'LADDER_UNKNOWN', exit: 2, message: /"nope"/, hint: /Known are: main/ },
  ...['test'].map((name) => ({
    args: [name, '3', '--ladder', 'main'],
    code: 'COMMAND_NOT_YET',
    exit: 2,
    message: new RegExp(`"upgrade ${name}" is not part of this release`),
    hint: /upgrade --help/,
  })),
  { args: ['boot', 'ls'], code: 'USAGE', exit: 2, message: /after "--": upgrade boot -- ls/, hint: /upgrade boot --help/ },
  { args: ['boot', '--'], code: 'USAGE', exit: 2, message: /Nothing stands after/, hint: /upgrade boot --help/ },
];

interface ErrorDocument {
  readonly outcome?: string;
  readonly failure: { readonly code: string; readonly message: string; readonly hint: string };
  readonly failures: readonly unknown[];
}

describe('a call that cannot be meant', () => {
  test.each(calls)('$args: $code', async ({ args, code, exit, message, hint }) => {
    const { dir, upgrade } = makeSmall({ config: 'ladders: { main: { dir: db, database: app } }\n', files: { 'inst/db/001_a.sql': '' } });
    const before = snapshot(dir);
    const [text, json] = await Promise.all([
      upgrade(args.filter((word) => word !== '--json' || args.includes('--'))),
      upgrade(['--json', ...args.filter((word) => word !== '--json')]),
    ]);
    expect(text.code).toBe(exit);
    expect(text.stdout).toBe('');
    expect(text.stderr.replaceAll(/\s+/g, ' ')).toMatch(message);
    expect(text.stderr).toContain(code);
    expect(text.stderr).not.toMatch(/^\s+at /m);

    expect(json.code).toBe(exit);
    const document: ErrorDocument = JSON.parse(json.stdout);
    expect(document.failure).toMatchObject({ code });
    expect(document.failure.message).toMatch(message);
    expect(document.failure.hint).toMatch(hint);
    expect(document.failures).toHaveLength(1);
    expect(json.stderr).toContain(code);
    const isRunning =
      ['resume', 'rollback', 'boot'].includes(args[0] ?? '') ||
      ((args[0] ?? '').startsWith('--') && !['backup', 'status'].some((word) => args.includes(word)));
    expect(document.outcome).toBe(isRunning ? 'refused' : undefined);
    expect(snapshot(dir)).toEqual(before);
  });

  test('all problems of a config are told at once, with their places', async () => {
    const { dir, root, upgrade } = makeSmall({ config: 'wibble: 1\ntimeouts: { step: 3x }\n' });
    const before = snapshot(dir);
    const { code, stdout } = await upgrade(['status', '--json']);
    expect(code).toBe(2);
    const { failures }: { failures: readonly { code: string; place: { file: string; line: number } }[] } = JSON.parse(stdout);
    expect(failures.map((failure) => [failure.code, failure.place.line])).toEqual([
      ['UNKNOWN_KEY', 6],
      ['WRONG_VALUE', 7],
    ]);
    expect(failures[0]?.place.file).toBe(path.join(root, 'upgrade.yaml'));
    const text = await upgrade(['status']);
    expect(text.stderr).toContain('upgrade.yaml:6:1');
    expect(text.stderr).toContain('upgrade.yaml:7:');
    expect(snapshot(dir)).toEqual(before);
  });

  test('a stack trace is shown with -v alone, before or after the command', async () => {
    const { upgrade } = makeSmall();
    for (const args of [
      ['-v', 'history', 'x'],
      ['history', 'x', '--verbose'],
      ['-qv', 'history', 'x'],
    ])
      expect((await upgrade(args)).stderr).toMatch(/^\s+at /m);
    expect((await upgrade(['history', 'x', '-c', 'upgrade.yaml'])).stderr).not.toMatch(/^\s+at /m);
  });
});
