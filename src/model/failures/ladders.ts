// What goes wrong with ladders: what another tool recorded of them, and what lies on disk.
import type { FailureRegistry } from '../failure.ts';

const at = (file: string, where: string): string => `${where} of ${file}`;
const numbers = (all: readonly number[]): string =>
  all.length > 8 ? `${all.slice(0, 8).join(', ')} and ${all.length - 8} more` : all.join(', ');

export const ladderFailures = {
  LADDER_UNKNOWN: ({ ladder, nearest, known }: { ladder: string; nearest: string | null; known: readonly string[] }) => ({
    message: `There is no ladder "${ladder}" in upgrade.yaml.${nearest === null ? '' : ` Did you mean "${nearest}"?`}`,
    hint: known.length === 0 ? 'Add it under "ladders:" in upgrade.yaml.' : `Known are: ${known.join(', ')}.`,
  }),
  LADDERS_MISSING: () => ({
    message: 'upgrade.yaml has no ladders.',
    hint: 'Describe the ladder first, for example: ladders: { main: { dir: db/migrations, database: app } }, or { index: migrations/index.json, dir: migrations/src }.',
  }),
  LADDER_DIR_MISSING: ({ ladder, dir, why }: { ladder: string; dir: string; why: string }) => ({
    message: `The folder ${dir} of ladder ${ladder} ${why}.`,
    hint: `Correct ladders.${ladder}.dir in upgrade.yaml, or create the folder.`,
  }),
  LADDER_INDEX_UNREADABLE: ({ ladder, file, why }: { ladder: string; file: string; why: string }) => ({
    message: `The index ${file} of ladder ${ladder} cannot be read: ${why}.`,
    hint: `Put the index back from a good copy, or correct ladders.${ladder}.index in upgrade.yaml. A damaged index is never taken for an empty one.`,
  }),
  LADDER_INDEX_ENTRY: ({ file, entry, why }: { file: string; entry: number; why: string }) => ({
    message: `${at(file, `Entry ${entry}`)} is not a migration: ${why}.`,
    hint: 'Each entry has an "id" of digits and a "has_run" that is true or false.',
  }),
  LADDER_DUPLICATE: ({ ladder, number, where, names }: { ladder: string; number: number; where: string; names: readonly string[] }) => ({
    message: `Ladder ${ladder} has the number ${number} more than once in ${where}: ${names.join(', ')}.`,
    hint: 'Give one of them another number: the number tells their order, and whether a step was applied.',
  }),
  LADDER_FILE_NAME: ({ ladder, name }: { ladder: string; name: string }) => ({
    message: `The file "${name}" of ladder ${ladder} is not named as a step is.`,
    hint: 'Name it NNN_name.EXT, for example 001_add_email.sql (ts, js, mjs, sql, sh, py), or begin its name with "_" to have it left alone.',
  }),
  LADDER_FILE_MISSING: ({ ladder, step, wanted }: { ladder: string; step: string; wanted: string }) => ({
    message: `Step ${step} of ladder ${ladder} was applied, but its file is not there: ${wanted}.`,
    hint: 'Bring the file back if you can: without it the step can neither be checked nor undone.',
  }),
  LADDER_SCRIPT_MISSING: ({ ladder, id, dir }: { ladder: string; id: string; dir: string }) => ({
    message: `Ladder ${ladder} names the script ${id}, which is not in ${dir}.`,
    hint: `Add ${id}.sh or ${id}.py there, or take the entry out of the index.`,
  }),
  LADDER_STEP_EDITED: ({ ladder, step, recorded, actual }: { ladder: string; step: string; recorded: string; actual: string }) => ({
    message: `Step ${step} of ladder ${ladder} was edited after it was applied: its SHA-256 was ${recorded.slice(0, 12)}…, it is ${actual.slice(0, 12)}….`,
    hint: 'Put the file back as it was, and make a new step for the change.',
  }),
  LADDER_GAP: ({ ladder, numbers: missing, height }: { ladder: string; numbers: readonly number[]; height: number }) => ({
    message: `Ladder ${ladder} stands at ${height}, but below it was never applied: ${numbers(missing)}.`,
    hint: 'They stay pending. Apply them with the tool that you use today, or make sure that they are not needed.',
  }),
  LADDER_NOT_APPLIED: ({ ladder, number, status }: { ladder: string; number: number; status: string }) => ({
    message: `Step ${number} of ladder ${ladder} is recorded as "${status}", so it does not count as applied.`,
    hint: 'See what it left behind before it is run again.',
  }),
  LADDER_HISTORY_DIFFERS: ({ ladder, number, table, history }: { ladder: string; number: number; table: string; history: string }) => ({
    message: `Step ${number} of ladder ${ladder} is ${table} in the table "migrations", but the last entry of "migration_history" says ${history}.`,
    hint: 'The table "migrations" counts. Make sure that the database really is as it says.',
  }),
  LADDER_RECORD_UNREADABLE: ({ file, table, row, why }: { file: string; table: string; row: number; why: string }) => ({
    message: `${at(file, `Row ${row} of table "${table}"`)} cannot be understood: ${why}.`,
    hint: 'Correct the row: every step needs a whole number.',
  }),
  LADDER_BOOKKEEPING_MISSING: ({ ladder, file, found }: { ladder: string; file: string; found: readonly string[] }) => ({
    message: `Nothing in ${file} tells what was applied of ladder ${ladder}${found.length === 0 ? '' : `; ${found.join(', ')} ${found.length === 1 ? 'is' : 'are'} of another shape`}.`,
    hint: 'Looked for the tables "schema_migrations" and "migrations". A ladder of which nothing was applied yet needs no adopting.',
  }),
  LADDER_BOOKKEEPING_TWICE: ({ ladder, file, tables }: { ladder: string; file: string; tables: readonly string[] }) => ({
    message: `${file} has more than one record of ladder ${ladder}: the tables ${tables.join(' and ')}.`,
    hint: 'Find out which one the tool in use writes, and rename the other.',
  }),
  LADDER_DATABASE_MISSING: ({ ladder, known }: { ladder: string; known: readonly string[] }) => ({
    message: `Ladder ${ladder} names no database, and the configuration has ${known.length === 0 ? 'none' : `several: ${known.join(', ')}`}.`,
    hint: `Add "database: NAME" to ladders.${ladder} in upgrade.yaml.`,
  }),
  LADDER_POSTGRES: ({ ladder, database }: { ladder: string; database: string }) => ({
    message: `Ladder ${ladder} is kept in the PostgreSQL database "${database}"; ladders in PostgreSQL come with a later release of Rungs.`,
    hint: 'Name another ladder with --ladder NAME; this one goes on with the tool that you use today.',
  }),
  LADDER_ALREADY_ADOPTED: ({
    ladder,
    adoptedAt,
    baseline,
    found,
  }: {
    ladder: string;
    adoptedAt: string;
    baseline: number;
    found: number;
  }) => ({
    message: `Ladder ${ladder} was adopted already (${adoptedAt}, at height ${baseline}), and its old record says something else now (height ${found}).`,
    hint: 'The journal counts from then on. See that the old tool does not run any more; "upgrade status" shows the ladder as Rungs knows it.',
  }),
} satisfies FailureRegistry;
