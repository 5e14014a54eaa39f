// What goes wrong with ladders: what another tool recorded of them, and what lies on disk.
import type { FailureRegistry } from '../failure.ts';

const at = (file: string, where: string): string => `${where} of ${file}`;
const numbers = (all: readonly number[]): string =>
  all.length > 8 ? `${all.slice(0, 8).join(', ')} and ${all.length - 8} more` : all.join(', ');

const shown = (all: readonly string[]): string =>
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
    hint: 'Each entry has an "id" of digits, a "has_run" that is true or false, and, if it needs others, "depends_on" with ids that stand before it.',
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
    hint: 'They stay pending. Make sure that they are still needed; then "upgrade up --out-of-order" runs them.',
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
  LADDER_LATE: ({ ladder, steps, height }: { ladder: string; steps: readonly string[]; height: number }) => ({
    message: `Ladder ${ladder} stands at ${height}, but ${steps.length === 1 ? 'a step below it was' : 'steps below it were'} never applied: ${shown(steps)}.`,
    hint: 'A step that came late has never been tried on top of what is applied now. Give it a number above the height, or run it all the same with --out-of-order.',
  }),
  LADDER_EDITED: ({ ladder, step, recorded, actual }: { ladder: string; step: string; recorded: string; actual: string }) => ({
    message: `Step ${step} of ladder ${ladder} was edited after it was applied: its SHA-256 was ${recorded.slice(0, 12)}…, it is ${actual.slice(0, 12)}….`,
    hint: `Put the file back as it was, and make a new step for the change. If the edit changes nothing (a comment, spaces), accept it with --accept-checksum ${step}.`,
  }),
  LADDER_NUMBERS_MISSING: ({ ladder, numbers: missing }: { ladder: string; numbers: readonly number[] }) => ({
    message: `Ladder ${ladder} has no step with the number${missing.length === 1 ? '' : 's'} ${numbers(missing)}.`,
    hint: 'Nothing to do, if no file was forgotten.',
  }),
  LADDER_HEIGHT_UNKNOWN: ({ ladder, height, latest }: { ladder: string; height: number; latest: number }) => ({
    message: `Ladder ${ladder} has no step ${height}${latest === 0 ? ': it has no steps' : `; its last is ${latest}`}.`,
    hint: 'Name the number of a step, or 0 for the ground.',
  }),
  LADDER_WHICH: ({ known }: { known: readonly string[] }) => ({
    message: `upgrade.yaml has several ladders: ${known.join(', ')}.`,
    hint: 'Say which with --ladder NAME.',
  }),
  LADDER_IRREVERSIBLE: ({ ladder, steps }: { ladder: string; steps: readonly string[] }) => ({
    message: `Ladder ${ladder} cannot be climbed down: ${shown(steps)} ${steps.length === 1 ? 'has' : 'have'} no backward.`,
    hint: 'Write the backward ("-- backward", a .down.sql, a backward function), or restore a backup with "upgrade backup restore ID".',
  }),
  LADDER_STEP_UNKNOWN: ({ step, nearest }: { step: string; nearest: string | null }) => ({
    message: `There is no applied step "${step}".${nearest === null ? '' : ` Did you mean "${nearest}"?`}`,
    hint: 'Name it as the error does, for example main/005_add_email.',
  }),
  LADDER_GROUP_MIXED: ({ ladder, steps }: { ladder: string; steps: readonly string[] }) => ({
    message: `Ladder ${ladder} is a group, but ${shown(steps)} cannot run in one transaction with the rest.`,
    hint: `In a group every step is SQL for the same database, without "transaction: false". Take "group: true" from ladders.${ladder}, or run up to that step first.`,
  }),
  LADDER_ABOVE: ({ ladder, height, wanted }: { ladder: string; height: number; wanted: number }) => ({
    message: `Ladder ${ladder} stands at ${height}, above ${wanted}.`,
    hint: `"upgrade down ${wanted} --ladder ${ladder}" climbs down.`,
  }),
  LADDER_CHECKSUM_ACCEPTED: ({ ladder, steps }: { ladder: string; steps: readonly string[] }) => ({
    message: `Edited after they were applied, and accepted so, of ladder ${ladder}: ${shown(steps)}.`,
    hint: 'Nothing to do.',
  }),
  LADDER_OLD_LOCK: ({
    ladder,
    where,
    since,
    by,
    pid,
  }: {
    ladder: string;
    where: string;
    since: string | null;
    by: string | null;
    pid: string | null;
  }) => ({
    message: `The lock of the tool that kept ladder ${ladder} looks held in ${where}${by === null ? '' : `, by ${by}`}${pid === null ? '' : `, process ${pid}`}${since === null ? '' : `, since ${since}`}.`,
    hint: 'Rungs has a lock of its own and does not obey this one. Make sure that the old tool does not run any more.',
  }),
  LADDER_UNRECORDED_FILE: ({
    ladder,
    number,
    recorded,
    files,
  }: {
    ladder: string;
    number: number;
    recorded: string;
    files: readonly string[];
  }) => ({
    message: `Of the files with the number ${number} of ladder ${ladder} only ${recorded} was recorded; nothing tells whether ${files.join(', ')} was ever run.`,
    hint: 'Look in the database whether its changes are there; if not, give it a number of its own above the height, so that it is run.',
  }),
  LADDER_WRITE_BACK: ({ ladder, where, error }: { ladder: string; where: string; error: string }) => ({
    message: `The record of the tool that kept ladder ${ladder} could not be written in ${where}: ${error}.`,
    hint: `Mend what keeps it from being written, or take "writeBack" out of ladders.${ladder} in upgrade.yaml.`,
  }),
  LADDER_WRITE_BACK_NOWHERE: ({ ladder, where }: { ladder: string; where: string }) => ({
    message: `Ladder ${ladder} has "writeBack", but ${where} has no record of another tool, and the ladder was not adopted from one: nothing was written back.`,
    hint: `Take "writeBack" out of ladders.${ladder} in upgrade.yaml, or run "upgrade adopt" where the old record is.`,
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
  LADDER_CLIMBED_ALREADY: ({ ladder, height, found }: { ladder: string; height: number; found: number }) => ({
    message: `Ladder ${ladder} was climbed by Rungs already, and stands at ${height}; the old record says ${found}.`,
    hint: 'The journal counts: nothing is to be adopted. "upgrade baseline N" says that the ladder stands somewhere else than the journal has it.',
  }),
  LADDER_IMPORTED: ({ ladder, height, steps }: { ladder: string; height: number; steps: number }) => ({
    message: `Ladder ${ladder} begins at ${height}: its index has ${steps} ${steps === 1 ? 'step' : 'steps'} with has_run.`,
    hint: 'Nothing to do: they count as applied. From now on the journal counts.',
  }),
  LADDERS_PENDING: ({ ladder, height, pending }: { ladder: string; height: number; pending: number }) => ({
    message: `Ladder ${ladder} stands at ${height}, and ${pending} ${pending === 1 ? 'step of it is' : 'steps of it are'} pending, which no version asks for.`,
    hint: '"upgrade up" climbs it; "upgrade up --dry-run" shows what that would do.',
  }),
  LADDER_ADOPT_FIRST: ({
    ladder,
    database,
    tables,
    isAdoptable,
  }: {
    ladder: string;
    database: string;
    tables: readonly string[];
    isAdoptable: boolean;
  }) => ({
    message: `The database "${database}" was migrated by another tool (its record: ${shown(tables)}), and nothing tells how much of ladder ${ladder} that was.`,
    hint: isAdoptable
      ? `"upgrade adopt --ladder ${ladder}" takes the record over; nothing is run for that. If the record is of something else, "upgrade baseline 0 --ladder ${ladder}" says that the ladder begins here.`
      : `Say where the ladder stands: "upgrade baseline N --ladder ${ladder}", with 0 if none of it was ever run.`,
  }),
  LADDER_NOT_EMPTY: ({ ladder, database, objects }: { ladder: string; database: string; objects: readonly string[] }) => ({
    message: `The database "${database}" is not empty (${shown(objects)}), and nothing tells how much of ladder ${ladder} was applied to it.`,
    hint: `Say where the ladder stands: "upgrade baseline N --ladder ${ladder}", with 0 if none of it was ever run. A fresh installation begins with an empty database.`,
  }),
  LADDER_MOVED: ({ ladder, steps }: { ladder: string; steps: readonly string[] }) => ({
    message: `Ladder ${ladder} was climbed by another run since this was planned: ${shown(steps)}.`,
    hint: 'Run the same command again: it plans anew, from where the ladder stands now.',
  }),
  LADDER_FRESH_STALE: ({ ladder, database, objects }: { ladder: string; database: string; objects: readonly string[] }) => ({
    message: `The database "${database}" was empty when this was planned, and is not any more: ${shown(objects)}. Ladder ${ladder} was to be installed fresh.`,
    hint: 'Somebody else was at work, another run perhaps. Run the same command again: it looks anew.',
  }),
  LADDER_FRESH_MISSING: ({ ladder, file, why }: { ladder: string; file: string; why: string }) => ({
    message: `${file}, which makes a fresh installation of ladder ${ladder}, ${why}.`,
    hint: `Correct ladders.${ladder}.fresh in upgrade.yaml: an SQL file or a module, or a folder of NNN_name steps.`,
  }),
  LADDER_FRESH_EMPTY: ({ ladder, file }: { ladder: string; file: string }) => ({
    message: `${file}, which makes a fresh installation of ladder ${ladder}, has nothing to run.`,
    hint: `Write the whole schema into it, or take "fresh" out of ladders.${ladder}: then a fresh installation climbs the ladder.`,
  }),
  LADDER_FRESH_DIALECT: ({
    ladder,
    file,
    line,
    kind,
    what,
  }: {
    ladder: string;
    file: string;
    line: number;
    kind: 'sqlite' | 'postgres';
    what: string;
  }) => ({
    message: `Line ${line} of ${file} (ladder ${ladder}) is not SQL that ${kind === 'sqlite' ? 'SQLite' : 'a PostgreSQL server'} understands: ${what}.`,
    hint:
      kind === 'sqlite'
        ? 'Take it out: only SQL is run, not the commands of a shell, and no other dialect.'
        : 'Take it out: only SQL is sent to the server. A dump for psql becomes such a file with "pg_dump --schema-only --no-owner --inserts" and without its \\ lines.',
  }),
  LADDER_FRESH_NONE: ({ known }: { known: readonly string[] }) => ({
    message: `${known.length === 1 ? `Ladder ${shown(known)} has` : `None of the ladders ${shown(known)} has`} a "fresh" in upgrade.yaml, so there is nothing to compare.`,
    hint: 'Name the file or folder that makes a new installation: ladders: { main: { dir: …, fresh: db/schema.sql } }.',
  }),
  LADDER_FRESH_DIFFERS: ({ ladder, fresh, differences }: { ladder: string; fresh: string; differences: number }) => ({
    message: `A fresh installation by ${fresh} is not what ladder ${ladder} leads to: ${differences} ${differences === 1 ? 'difference' : 'differences'}.`,
    hint: `What the ladder makes is what installations have. Bring ${fresh} up to date with it.`,
  }),
} satisfies FailureRegistry;
