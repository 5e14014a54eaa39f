// Steps as bad ones are, one of each kind and way to fail. Each does as much harm as its kind can: in the tree behind the back of `ctx.files`, and in the
// database with rows that are committed before it fails.

export type Kind = 'ts' | 'js' | 'sql' | 'sql without a transaction' | 'sh' | 'py';
export const kinds: readonly Kind[] = ['ts', 'js', 'sql', 'sql without a transaction', 'sh', 'py'];

export type Way =
  | 'fails at once'
  | 'half-finishes and then fails'
  | 'has a sibling before it whose backward fails'
  | 'has a sibling before it without a backward'
  | 'has a sibling before it whose backward does nothing';
export const ways: readonly Way[] = [
  'fails at once',
  'half-finishes and then fails',
  'has a sibling before it whose backward fails',
  'has a sibling before it without a backward',
  'has a sibling before it whose backward does nothing',
];

export interface BadStep {
  /** File names to texts, to be written into one transition. */
  readonly files: Readonly<Record<string, string>>;
  /** Without its extension: the step that the run fails at. */
  readonly failing: string;
}

type Backward = 'none' | 'fails' | 'does nothing';

/** Files numbered `number` and `number + 1`, of a transition that has no such numbers. */
export function badStep(kind: Kind, way: Way, number: number): BadStep {
  const name = (offset: number, what: string): string => `${String(number + offset).padStart(3, '0')}_${what}`;
  const extension = kind.startsWith('sql') ? 'sql' : kind;
  const file = (offset: number, what: string): string => `${name(offset, what)}.${extension}`;
  if (way === 'fails at once')
    return { files: { [file(0, 'at_once')]: step(kind, { harms: false, fails: true, backward: 'none' }) }, failing: name(0, 'at_once') };
  if (way === 'half-finishes and then fails')
    return { files: { [file(0, 'half')]: step(kind, { harms: true, fails: true, backward: 'none' }) }, failing: name(0, 'half') };
  const backward = way.endsWith('fails') ? 'fails' : way.endsWith('nothing') ? 'does nothing' : 'none';
  return {
    files: {
      [file(0, 'sibling')]: step(kind, { harms: true, fails: false, backward }),
      [file(1, 'failing')]: step(kind, { harms: false, fails: true, backward: 'none' }),
    },
    failing: name(1, 'failing'),
  };
}

interface Wanted {
  readonly harms: boolean;
  readonly fails: boolean;
  readonly backward: Backward;
}

function step(kind: Kind, wanted: Wanted): string {
  switch (kind) {
    case 'ts':
    case 'js':
      return moduleStep(kind, wanted);
    case 'sh':
      return shellStep(wanted);
    case 'py':
      return pythonStep(wanted);
    default:
      return sqlStep(wanted, kind === 'sql');
  }
}

/** Everything that can be wrong with a tree. For POSIX sh in the installation's root; owners only where it may change them. */
export const treeHarm = `
chmod 777 config && chmod 4755 config/app.env && chmod 0 data/hard.txt
chown 4321:4321 data/hard.txt config/app.yaml 2> /dev/null || true
: > config/app.yaml
rm data/dangling && ln -s /nonexistent data/dangling
rm -rf data/empty data/inbox
mkdir -p data/new/deep/empty && echo too many > data/new/deep/file && ln -s /etc/passwd data/new/link && mkfifo data/new/fifo
printf 'first\\n' > data/copy && mv data/copy data/files/a.txt
mv data/files data/gone && echo a file now > data/files
echo 9.9.9 > VERSION
rm -f data/app.db-shm`;

function moduleStep(kind: 'ts' | 'js', { harms, fails, backward }: Wanted): string {
  const harm = `
    await files.write('config/half.yaml', 'made: by files\\n');
    await files.updateYaml('config/app.yaml', (doc) => doc.setIn(['mail', 'enabled'], 'half'));
    await files.move('config/app.env', 'config/elsewhere/app.env');
    await files.move('config/elsewhere/app.env', 'config/app.env');
    await files.chmod('config/release.txt', 0o700);
    await exec('sh', ['-c', ${JSON.stringify(treeHarm)}]);
    await sqlite('app').run('DELETE FROM items WHERE id % 2 = 0');
    await checkpoint.save('half of the items are gone');
    await sqlite('app').exec('CREATE TABLE not_committed (x); INSERT INTO not_committed VALUES (1)');
    ${kind === 'ts' ? '' : leftOpen}`;
  // A second connection would wait for the first one's lock, so the js step commits through it before the transaction of ctx.sqlite begins anew.
  const leftBehind = kind === 'ts' ? '' : "import { DatabaseSync } from 'node:sqlite';\n";
  const half =
    backward === 'none' ? '' : `backward: async () => { ${backward === 'fails' ? "throw new Error('the way back is broken');" : ''} },`;
  return `${leftBehind}export default {
  description: 'A bad step',
  requiresRestart: ['app'],
  forward: async ({ files, sqlite, exec, checkpoint, root }) => {${harms ? harm : ''}
    ${fails ? "throw new Error('it was not to be');" : ''}
  },
  ${half}
};
`;
}

/** A connection of its own that nobody closes: its write-ahead log stays beside the database. */
const leftOpen = `
    await checkpoint.save('the table is committed after all');
    const own = new DatabaseSync(root + '/data/app.db', { timeout: 5000 });
    own.exec('CREATE TABLE behind_your_back (x); UPDATE items SET price = -1');
    globalThis.own = own;`;

function sqlStep({ harms, fails, backward }: Wanted, hasTransaction: boolean): string {
  const harm = `
CREATE TABLE half (x INTEGER);
INSERT INTO half SELECT id FROM items;
DELETE FROM items WHERE id > 10;
ALTER TABLE items ADD COLUMN half TEXT DEFAULT 'yes';
PRAGMA user_version = 77;`;
  const back = backward === 'none' ? '' : `-- backward\n${backward === 'fails' ? 'DROP TABLE nothing_of_that_name;' : 'SELECT 1;'}\n`;
  return `-- rungs: { database: app, requires_restart: [app], transaction: ${String(hasTransaction)} }
-- forward
${harms ? harm : 'SELECT 1;'}
${fails ? 'INSERT INTO no_such_table VALUES (1);' : ''}
${back}`;
}

function shellStep({ harms, fails, backward }: Wanted): string {
  const forward = `${harms ? treeHarm : ':'}\n${fails ? 'echo "it was not to be" >&2; exit 7' : 'exit 0'}`;
  if (backward === 'none') return `#!/bin/sh\n# rungs: { requires_restart: [app] }\nset -e\n${forward}\n`;
  return `#!/bin/sh
# rungs: { requires_restart: [app] }
set -e
if [ "$1" = backward ]; then ${backward === 'fails' ? 'exit 9' : 'exit 0'}; fi
${forward}
`;
}

function pythonStep({ harms, fails, backward }: Wanted): string {
  const harm = `
    subprocess.run(["sh", "-c", ${JSON.stringify(treeHarm)}], check=True, cwd=root)
    own = sqlite3.connect(root / "data" / "app.db", timeout=5)
    own.execute("CREATE TABLE from_python (x)")
    own.execute("DELETE FROM items")
    own.commit()
    kept.append(own)`;
  const back = backward === 'none' ? '' : `\n\ndef migrate_backward(root):\n    ${backward === 'fails' ? 'return False' : 'return True'}\n`;
  return `import os, sqlite3, subprocess

MIGRATION_INFO = {"description": "A bad step", "requires_restart": ["app"]}
kept = []


def migrate_forward(root):${harms ? harm : ''}
    ${fails ? 'raise RuntimeError("it was not to be")' : 'return True'}
${back}`;
}
