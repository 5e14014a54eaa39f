// What another migration tool recorded in a SQLite database: `schema_migrations` in both of its shapes, or `migrations` with `migration_history`.
// Opened without a trace, and only read. A step that failed or was rolled back does not count as applied.
import type { DatabaseSync } from 'node:sqlite';
import { failure, type Failure } from '../model/failure.ts';
import type { Bookkeeping, RecordedStep } from '../model/ladder.ts';
import type { Finding } from '../model/plan.ts';
import { readStill } from './open-still.ts';

interface Request {
  readonly ladder: string;
  /** The database's name in the config. */
  readonly database: string;
  readonly file: string;
}

interface Shape {
  readonly table: string;
  /** What a table must have to be read in this way. */
  readonly needs: readonly string[];
  readonly number: string;
  readonly name: string;
}

const shapes: readonly Shape[] = [
  { table: 'schema_migrations', needs: ['migration_number', 'filename'], number: 'migration_number', name: 'filename' },
  { table: 'schema_migrations', needs: ['version', 'name'], number: 'version', name: 'name' },
  { table: 'migrations', needs: ['version', 'name'], number: 'version', name: 'name' },
];
const historyTable = 'migration_history';
const done = /^(applied|completed?|success|succeeded|done|ok)$/i;

type Row = Readonly<Record<string, unknown>>;

/** Throws DATABASE_UNREACHABLE, DATABASE_CORRUPT, DATABASE_BUSY. */
export async function readSqliteRecord(request: Request): Promise<Bookkeeping> {
  return readStill(request.file, (open) => recordIn(open, request), { name: request.database, deadlineMs: 5_000 });
}

function recordIn(open: DatabaseSync, { ladder, database, file }: Request): Bookkeeping {
  const names = [...new Set(shapes.map(({ table }) => table))];
  const tables = new Map(names.map((name) => [name, columnsOf(open, name)] as const).filter(([, columns]) => columns.size > 0));
  const found = [...tables].flatMap(
    ([table, columns]) => shapes.find((shape) => shape.table === table && shape.needs.every((column) => columns.has(column))) ?? [],
  );
  const filled = found.filter(({ table }) => rowsOf(open, table).length > 0);
  const [shape] = filled.length > 0 ? filled : found;
  if (shape === undefined) {
    return {
      source: null,
      applied: [],
      problems: [finding('block', failure('LADDER_BOOKKEEPING_MISSING', { ladder, file, found: [...tables.keys()] }, { place: { file } }))],
    };
  }
  const hasHistory = shape.table === 'migrations' && columnsOf(open, historyTable).size > 0;
  const source = { kind: 'sqlite' as const, file, database, tables: hasHistory ? [shape.table, historyTable] : [shape.table] };
  if (filled.length > 1) {
    const both = filled.map(({ table }) => table);
    return {
      source,
      applied: [],
      problems: [finding('block', failure('LADDER_BOOKKEEPING_TWICE', { ladder, file, tables: both }, { place: { file } }))],
    };
  }
  const read = readRows(rowsOf(open, shape.table), shape, { ladder, file });
  return {
    source,
    applied: read.applied,
    problems: [...read.problems, ...(hasHistory ? contradictions(open, read.statuses, { ladder, file }) : [])],
  };
}

function readRows(
  rows: readonly Row[],
  { table, number: numberColumn, name }: Shape,
  { ladder, file }: { readonly ladder: string; readonly file: string },
) {
  const problems: Finding[] = [];
  const applied: RecordedStep[] = [];
  const statuses = new Map<number, 'applied' | 'rolled back'>();
  for (const [position, row] of rows.entries()) {
    const number = wholeNumber(row[numberColumn]);
    if (number === null) {
      const why = `"${numberColumn}" is ${JSON.stringify(row[numberColumn] ?? null)}`;
      problems.push(finding('block', failure('LADDER_RECORD_UNREADABLE', { file, table, row: position + 1, why }, { place: { file } })));
      continue;
    }
    const status = textOrNull(row['status']) ?? 'applied';
    const isRolledBack = /^rolled[ _-]?back$/i.test(status) || textOrNull(row['rolled_back_at']) !== null;
    statuses.set(number, done.test(status) && !isRolledBack ? 'applied' : 'rolled back');
    if (!done.test(status) || isRolledBack) {
      // Rolled back is an answer; failed is something to look at.
      problems.push(
        finding(
          isRolledBack ? 'info' : 'warn',
          failure('LADDER_NOT_APPLIED', { ladder, number, status: isRolledBack ? 'rolled_back' : status }, { place: { file } }),
        ),
      );
      continue;
    }
    const sha256 = textOrNull(row['checksum'])?.toLowerCase() ?? null;
    applied.push({
      number,
      name: textOrNull(row[name]) ?? String(number),
      appliedAt: textOrNull(row['applied_at']),
      sha256: sha256 !== null && /^[0-9a-f]{64}$/.test(sha256) ? sha256 : null,
    });
  }
  for (const [number, same] of Map.groupBy(applied, (step) => step.number)) {
    if (same.length > 1)
      problems.push(
        finding(
          'block',
          failure(
            'LADDER_DUPLICATE',
            { ladder, number, where: `${file}, table "${table}"`, names: same.map((step) => step.name) },
            { place: { file } },
          ),
        ),
      );
  }
  return { applied: applied.toSorted((a, b) => a.number - b.number), problems, statuses };
}

/** Where the last success that the history knows of a step is not what the table says. */
function contradictions(
  open: DatabaseSync,
  statuses: ReadonlyMap<number, 'applied' | 'rolled back'>,
  { ladder, file }: { readonly ladder: string; readonly file: string },
): readonly Finding[] {
  const last = new Map<number, string>();
  for (const row of rowsOf(open, historyTable)) {
    const number = wholeNumber(row['version']);
    const direction = textOrNull(row['direction']);
    const status = textOrNull(row['status']) ?? '';
    if (number === null || direction === null || !(done.test(status) || /^rolled[ _-]?back$/i.test(status))) continue;
    last.set(number, /^down$/i.test(direction) || !done.test(status) ? 'rolled back' : 'applied');
  }
  return [...statuses].flatMap(([number, table]) => {
    const history = last.get(number);
    return history === undefined || history === table
      ? []
      : [finding('warn', failure('LADDER_HISTORY_DIFFERS', { ladder, number, table, history }, { place: { file } }))];
  });
}

function columnsOf(open: DatabaseSync, table: string): ReadonlySet<string> {
  return new Set(
    open
      .prepare('SELECT name FROM pragma_table_info(?)')
      .all(table)
      .map(({ name }) => String(name).toLowerCase()),
  );
}

/** In the order in which they were written. */
function rowsOf(open: DatabaseSync, table: string): readonly Row[] {
  const statement = open.prepare(`SELECT * FROM "${table}"`);
  // A number beyond what JavaScript holds exactly must not be an exception.
  statement.setReadBigInts(true);
  return statement.all().map((row) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key.toLowerCase(), value])));
}

function wholeNumber(value: unknown): number | null {
  const number = typeof value === 'bigint' ? Number(value) : typeof value === 'string' && /^\d+$/.test(value.trim()) ? Number(value) : null;
  return number !== null && Number.isSafeInteger(number) && number >= 0 ? number : null;
}

function textOrNull(value: unknown): string | null {
  if (value === null || value === undefined || value === '') return null;
  // Whatever SQLite keeps: a text, a number, a blob.
  return typeof value === 'string'
    ? value
    : typeof value === 'bigint' || typeof value === 'number'
      ? value.toString()
      : Buffer.isBuffer(value)
        ? value.toString()
        : null;
}

function finding(level: Finding['level'], { code, message, hint, place }: Failure): Finding {
  return { level, code, message, hint, ...(place === undefined ? {} : { place }) };
}
