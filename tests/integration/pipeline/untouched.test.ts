// What only reads leaves everything as it is, to the byte and to the nanosecond of every time that a change would set: before the first run, where the state
// folder does not exist yet, after a committed run, and beside one that was killed.
import { lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixtures, makeTiny, type Tiny } from './installation.ts';

const readers: readonly { readonly args: readonly string[]; readonly code: number | null }[] = [
  { args: ['plan'], code: null },
  { args: ['plan', '--json'], code: null },
  { args: ['plan', '--format', 'mermaid'], code: null },
  { args: ['check'], code: 0 },
  { args: ['status'], code: 0 },
  { args: ['status', '--json'], code: 0 },
  { args: ['doctor'], code: null },
  { args: ['history'], code: 0 },
  { args: ['history', '01ARZ3NDEKTSV4RRFFQ69G5FAV'], code: 3 },
  { args: ['backup', 'list'], code: 0 },
  { args: ['--dry-run'], code: null },
  { args: ['--from', '9.9.9', '--yes'], code: 3 },
  { args: ['--to', 'banana', '--yes'], code: 2 },
  { args: ['--to', '0.1.0', '--yes'], code: 3 },
  { args: ['--plan-hash', 'sha256:0', '--yes'], code: 3 },
  { args: ['--no-such-flag'], code: 2 },
  { args: ['no-such-command'], code: 2 },
];

const situations = [
  {
    name: 'before the first run',
    prepare: async () => undefined,
    hasState: false,
    moreReaders: [
      { args: ['resume'], code: 3 },
      { args: ['rollback'], code: 3 },
    ],
  },
  {
    name: 'after a committed run',
    prepare: async (tiny: Tiny) => {
      expect((await tiny.upgrade(['--yes', '--to', '1.1.0'])).code).toBe(0);
    },
    hasState: true,
    moreReaders: [
      { args: ['--from', '1.0.0', '--yes'], code: 3 },
      { args: ['--to', '1.0.0', '--yes'], code: 3 },
    ],
  },
  {
    name: 'beside a run that was killed',
    prepare: async (tiny: Tiny) => {
      const { signal } = await tiny.node([
        path.join(fixtures, 'programs/kill-at.mjs'),
        tiny.configFile,
        'run',
        'both',
        'step-finished apply v1.1.0_to_v2.0.0/001_batches#1',
      ]);
      expect(signal).toBe('SIGKILL');
    },
    hasState: true,
    moreReaders: [{ args: ['--yes'], code: 3 }],
  },
] as const;

for (const { name, prepare, hasState, moreReaders } of situations) {
  describe(name, () => {
    let tiny: Tiny;
    let before: ReadonlyMap<string, string>;
    beforeAll(async () => {
      tiny = makeTiny();
      await tiny.start();
      await prepare(tiny);
      before = everythingIn(tiny.dir);
      expect(before.has('root/.upgrade')).toBe(hasState);
    });
    afterAll(() => tiny.remove());

    test.each([...readers, ...moreReaders])('upgrade $args', async ({ args, code }) => {
      const ended = await tiny.upgrade(args);
      if (code !== null) expect(ended.code, ended.stdout + ended.stderr).toBe(code);
      else expect([0, 3], ended.stdout + ended.stderr).toContain(ended.code);
      expect(changesBetween(before, everythingIn(tiny.dir))).toEqual([]);
    });
  });
}

describe('what is refused by the preflight', () => {
  const refusals = [
    { why: 'an environment variable is missing', yaml: 'requires: { env: [RUNGS_TEST_NOT_SET] }' },
    { why: 'a command is missing', yaml: 'requires: { command: [no-such-command-at-all] }' },
    { why: 'the disk is too small', yaml: 'requires: { disk: 900TB }' },
  ];
  test.each(refusals)('$why', async ({ yaml }) => {
    const tiny = makeTiny();
    try {
      tiny.step('v1.1.0_to_v2.0.0/transition.yaml', `${yaml}\n`);
      await tiny.start();
      const before = everythingIn(tiny.dir);
      const { code, stdout } = await tiny.upgrade(['--json', '--yes']);
      expect(code, stdout).toBe(3);
      expect(JSON.parse(stdout)).toMatchObject({ outcome: 'refused', version: '1.0.0' });
      expect(changesBetween(before, everythingIn(tiny.dir))).toEqual([]);
    } finally {
      await tiny.remove();
    }
  });
});

/** Of each path: type, mode, owner, inode, times of change, and content. The daemon's own files are left out. */
function everythingIn(dir: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const visit = (relative: string): void => {
    const absolute = path.join(dir, relative);
    const stats = lstatSync(absolute, { bigint: true });
    // SQLite, run by root, gives these their owner anew when it opens them: the same one, but the time of it is noted.
    const changed = /-(?:wal|shm)$/.test(relative) ? '' : String(stats.ctimeNs);
    // Memory that all who have the daemon's database open share, and in which each notes where it reads.
    const isShared = relative === 'root/data/app.db-shm';
    const content = stats.isSymbolicLink() ? readlinkSync(absolute) : stats.isFile() && !isShared ? readFileSync(absolute, 'latin1') : '';
    found.set(
      relative,
      JSON.stringify([
        String(stats.mode),
        String(stats.uid),
        String(stats.gid),
        String(stats.ino),
        isShared ? '' : String(stats.mtimeNs),
        changed,
        content,
      ]),
    );
    if (!stats.isDirectory() || relative === 'root/run') return;
    for (const name of readdirSync(absolute)) visit(relative === '' ? name : `${relative}/${name}`);
  };
  visit('');
  return found;
}

function changesBetween(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): readonly string[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((each) => before.get(each) !== after.get(each))
    .map((each) => (before.has(each) ? (after.has(each) ? `changed ${each}` : `gone ${each}`) : `created ${each}`));
}
