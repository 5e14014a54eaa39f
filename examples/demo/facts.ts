// What a person would look at to tell which version is installed: a few facts of the scratch installation, for printing.
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { digestOf } from './snapshot.ts';
import type { Snapshot } from './snapshot.ts';
import type { Scratch } from './scratch.ts';

export interface Facts {
  readonly snapshot: Snapshot;
  readonly dump: string;
  readonly config: string;
  readonly health: string;
  /** Label and text, in the order in which they are shown. */
  readonly lines: readonly (readonly [label: string, text: string])[];
}

export async function gatherFacts(scratch: Scratch): Promise<Facts> {
  const [version, answer, snapshot, dump, config] = await Promise.all([
    scratch.version(),
    scratch.health(),
    scratch.snapshot(),
    scratch.databaseDump(),
    readFile(join(scratch.root, 'config/app.yaml'), 'utf8'),
  ]);
  const health = answer === null ? 'no answer' : `${answer.status} ${JSON.stringify(answer.body)}`;
  const tables = tablesOf(dump);
  const lines: (readonly [string, string])[] = [
    ['version', version],
    ['health', health],
    ['rows', tables.map(({ name, rows }) => `${name} ${rows}`).join(', ')],
    ['users', tables.find(({ name }) => name === 'users')?.columns.join(', ') ?? 'no such table'],
    ['uploads', await uploadsOf(scratch.root)],
    ['.env', `mode ${snapshot.get('.env')?.mode ?? '?'}: ${await envKeys(scratch.root)}`],
    ['tree', `${snapshot.size} paths, sha256 ${digestOf(snapshot).slice(0, 16)}…`],
    [
      'database',
      `${dump.split('\n').length - 1} lines of schema and rows, sha256 ${createHash('sha256').update(dump).digest('hex').slice(0, 16)}…`,
    ],
  ];
  return { snapshot, dump, config, health, lines };
}

interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: number;
}

/** Read off the dump, so that what is shown is what is compared. */
function tablesOf(dump: string): readonly Table[] {
  const [, ...sections] = dump.split(/^table (?=\w)/m);
  return sections.map((section) => {
    const lines = section.split('\n').filter((line) => line !== '');
    const [name, columns] = /^(\w+): CREATE TABLE \S+ \((.*)\)$/.exec(lines[0] ?? '')?.slice(1) ?? [];
    return {
      name: name ?? '?',
      columns: (columns ?? '').split(/, (?![^(]*\))/).map((column) => column.split(' ')[0] ?? ''),
      rows: lines.filter((line) => line.startsWith('{')).length,
    };
  });
}

async function uploadsOf(root: string): Promise<string> {
  const folder = join(root, 'data/uploads');
  const entries = await readdir(folder, { withFileTypes: true });
  const folders = entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted();
  const shown = folders.length > 4 ? `${folders.slice(0, 3).join(', ')} and ${folders.length - 3} more folders` : folders.join(', ');
  return `${shown}; latest → ${await readlink(join(folder, 'latest')).catch(() => 'nothing')}`;
}

/** Names only: the values are secrets. */
async function envKeys(root: string): Promise<string> {
  const text = await readFile(join(root, '.env'), 'utf8');
  return [...text.matchAll(/^([A-Z_]+)=/gm)].map(([, key]) => key).join(', ');
}
