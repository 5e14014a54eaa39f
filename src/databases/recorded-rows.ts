// The records that migration tools keep in a database, and what their rows say. Pure: the rows were read by whoever knows the database.
// A step that failed or was rolled back does not count as applied. A lock that looks held is told, and never obeyed: Rungs has its own.
import { failure, type Failure, type Place } from '../model/failure.ts';
import type { Bookkeeping, BookkeepingSource, RecordedStep, RecordShape } from '../model/ladder.ts';
import type { Finding } from '../model/plan.ts';

/** Column names in small letters. Values: texts, numbers, `null`, and what SQLite keeps beside them. */
export type Row = Readonly<Record<string, unknown>>;

export interface TableRead {
  readonly columns: ReadonlySet<string>;
  /** In the order in which they were written. */
  readonly rows: readonly Row[];
}

/** What was found of the tables below; a table that is not there is left out. */
export type TablesRead = ReadonlyMap<string, TableRead>;

export interface RecordPlace {
  readonly ladder: string;
  /** The file, or the server and database, for people. */
  readonly where: string;
  readonly place: Place;
}

interface Shape {
  readonly shape: RecordShape;
  readonly table: string;
  /** What a table must have to be read in this way. */
  readonly needs: readonly string[];
  /** What another tool's table of that name has. */
  readonly lacks: readonly string[];
  /** `null`: the number is what the name begins with. */
  readonly number: string | null;
  /** `null`: only the number was recorded. */
  readonly name: string | null;
  readonly appliedAt: string;
}

const shapes: readonly Shape[] = [
  {
    shape: 'numbered',
    table: 'schema_migrations',
    needs: ['migration_number', 'filename'],
    lacks: [],
    number: 'migration_number',
    name: 'filename',
    appliedAt: 'applied_at',
  },
  {
    shape: 'named',
    table: 'schema_migrations',
    needs: ['version', 'name'],
    lacks: [],
    number: 'version',
    name: 'name',
    appliedAt: 'applied_at',
  },
  // `dirty`: that table has one row, the height, and says nothing of each step.
  {
    shape: 'versions',
    table: 'schema_migrations',
    needs: ['version'],
    lacks: ['dirty'],
    number: 'version',
    name: null,
    appliedAt: 'applied_at',
  },
  {
    shape: 'history',
    table: 'migrations',
    needs: ['version', 'name'],
    lacks: [],
    number: 'version',
    name: 'name',
    appliedAt: 'applied_at',
  },
  { shape: 'pgmigrations', table: 'pgmigrations', needs: ['name', 'run_on'], lacks: [], number: null, name: 'name', appliedAt: 'run_on' },
  {
    shape: 'knex',
    table: 'knex_migrations',
    needs: ['name', 'migration_time'],
    lacks: [],
    number: null,
    name: 'name',
    appliedAt: 'migration_time',
  },
];
export const historyTable = 'migration_history';
const lockTables = ['migration_lock', 'knex_migrations_lock'];

/** Every table that tells something. */
export const recordTables: readonly string[] = [...new Set(shapes.map(({ table }) => table)), historyTable, ...lockTables];

/** The shape that a table of that name and with these columns has. */
export function shapeOf(table: string, columns: ReadonlySet<string>): Shape | null {
  const fits = ({ needs, lacks }: Shape): boolean =>
    needs.every((column) => columns.has(column)) && !lacks.some((column) => columns.has(column));
  return shapes.find((shape) => shape.table === table && fits(shape)) ?? null;
}

export function tableOf(shape: RecordShape): string {
  return shapes.find((one) => one.shape === shape)?.table ?? 'schema_migrations';
}

/** `sourceOf` is given the shape and the tables that it was read from. */
export function readRecord(
  tables: TablesRead,
  place: RecordPlace,
  sourceOf: (shape: RecordShape, tables: readonly string[]) => BookkeepingSource,
): Bookkeeping {
  const known = [...new Set(shapes.map(({ table }) => table))].filter((table) => tables.has(table));
  const found = known.flatMap((table) => shapeOf(table, tables.get(table)?.columns ?? new Set()) ?? []);
  const filled = found.filter(({ table }) => (tables.get(table)?.rows.length ?? 0) > 0);
  const [shape] = filled.length > 0 ? filled : found;
  if (shape === undefined) {
    const missing = failure(
      'LADDER_BOOKKEEPING_MISSING',
      { ladder: place.ladder, file: place.where, found: known },
      { place: place.place },
    );
    return { source: null, applied: [], problems: [finding('block', missing)] };
  }
  const history = shape.shape === 'history' ? tables.get(historyTable) : undefined;
  const source = sourceOf(shape.shape, history === undefined ? [shape.table] : [shape.table, historyTable]);
  if (filled.length > 1) {
    const twice = failure(
      'LADDER_BOOKKEEPING_TWICE',
      { ladder: place.ladder, file: place.where, tables: filled.map(({ table }) => table) },
      { place: place.place },
    );
    return { source, applied: [], problems: [finding('block', twice)] };
  }
  const read = readRows(tables.get(shape.table)?.rows ?? [], shape, place);
  return {
    source,
    applied: read.applied,
    problems: [
      ...read.problems,
      ...(history === undefined ? [] : contradictions(history.rows, read.statuses, place)),
      ...heldLocks(tables, place),
    ],
  };
}

const done = /^(applied|completed?|success|succeeded|done|ok)$/i;

type Said = 'applied' | 'rolled back';

function readRows(rows: readonly Row[], shape: Shape, { ladder, where, place }: RecordPlace) {
  const problems: Finding[] = [];
  const applied: RecordedStep[] = [];
  const statuses = new Map<number, Said>();
  for (const [position, row] of rows.entries()) {
    const name = shape.name === null ? null : textOrNull(row[shape.name]);
    const number = shape.number === null ? wholeNumber(/^\d+/.exec(name ?? '')?.[0]) : wholeNumber(row[shape.number]);
    if (number === null) {
      const column = shape.number ?? shape.name ?? '';
      const why = `"${column}" is ${JSON.stringify(textOrNull(row[column]))}`;
      problems.push(
        finding('block', failure('LADDER_RECORD_UNREADABLE', { file: where, table: shape.table, row: position + 1, why }, { place })),
      );
      continue;
    }
    const status = textOrNull(row['status']) ?? 'applied';
    const isRolledBack = /^rolled[ _-]?back$/i.test(status) || textOrNull(row['rolled_back_at']) !== null;
    statuses.set(number, done.test(status) && !isRolledBack ? 'applied' : 'rolled back');
    if (!done.test(status) || isRolledBack) {
      // Rolled back is an answer; failed is something to look at.
      const said = failure('LADDER_NOT_APPLIED', { ladder, number, status: isRolledBack ? 'rolled_back' : status }, { place });
      problems.push(finding(isRolledBack ? 'info' : 'warn', said));
      continue;
    }
    const sha256 = textOrNull(row['checksum'])?.toLowerCase() ?? null;
    applied.push({
      number,
      name: name ?? String(number),
      appliedAt: textOrNull(row[shape.appliedAt]),
      sha256: sha256 !== null && /^[0-9a-f]{64}$/.test(sha256) ? sha256 : null,
    });
  }
  for (const [number, same] of Map.groupBy(applied, (step) => step.number)) {
    if (same.length < 2) continue;
    const details = { ladder, number, where: `${where}, table "${shape.table}"`, names: same.map((step) => step.name) };
    problems.push(finding('block', failure('LADDER_DUPLICATE', details, { place })));
  }
  return { applied: applied.toSorted((a, b) => a.number - b.number), problems, statuses };
}

/** Where the last success that the history knows of a step is not what the table says. */
function contradictions(history: readonly Row[], statuses: ReadonlyMap<number, Said>, { ladder, place }: RecordPlace): readonly Finding[] {
  const last = new Map<number, Said>();
  for (const row of history) {
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
      : [finding('warn', failure('LADDER_HISTORY_DIFFERS', { ladder, number, table, history }, { place }))];
  });
}

function heldLocks(tables: TablesRead, { ladder, where, place }: RecordPlace): readonly Finding[] {
  return lockTables.flatMap((table) =>
    (tables.get(table)?.rows ?? []).flatMap((row) => {
      const [since, by, pid] = [textOrNull(row['locked_at']), textOrNull(row['locked_by']), textOrNull(row['process_id'])];
      const isHeld = since !== null || by !== null || ['1', 'true'].includes(textOrNull(row['is_locked']) ?? '');
      if (!isHeld) return [];
      return [finding('info', failure('LADDER_OLD_LOCK', { ladder, where: `${where}, table "${table}"`, since, by, pid }, { place }))];
    }),
  );
}

function wholeNumber(value: unknown): number | null {
  const text = typeof value === 'bigint' || typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : '';
  const number = /^\d+$/.test(text) ? Number(text) : null;
  return number !== null && Number.isSafeInteger(number) ? number : null;
}

/** Of whatever a database keeps: a text, a number, a blob. */
function textOrNull(value: unknown): string | null {
  if (value === null || value === undefined || value === '') return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean') return String(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString() : null;
}

function finding(level: Finding['level'], { code, message, hint, place }: Failure): Finding {
  return { level, code, message, hint, ...(place === undefined ? {} : { place }) };
}
