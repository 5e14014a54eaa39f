// What makes a fresh installation of a ladder's database: one file, or a folder of numbered steps. Given the ladder, reads it as steps whose ids
// tell that they are none of the ladder's own: `main/fresh`, or `main/fresh-001_tables`.
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { readFolderLadder } from '../discover/ladder-folder.ts';
import { readLadderSteps } from '../discover/ladder-steps.ts';
import type { Config, LadderConfig } from '../model/config.ts';
import { failure, messageOf, UpgradeError, type Failure } from '../model/failure.ts';
import type { LadderFile } from '../model/ladder.ts';
import type { Finding, Step, Transition } from '../model/plan.ts';
import { splitPostgres } from '../model/postgres-statements.ts';
import { hasStatement, splitSql } from '../model/sql-sections.ts';
import { describeModules } from '../steps/describe.ts';
import { splitStatements, transactionWord } from '../steps/host/sql-statements.ts';
import { asFailures } from './ladders.ts';

export interface FreshSteps {
  /** Absolute. */
  readonly dir: string;
  readonly steps: readonly Step[];
  readonly files: Transition['files'];
  readonly findings: readonly Finding[];
}

/** Throws everything that is wrong with it at once. */
export async function readFreshSteps(config: Config, name: string, ladder: LadderConfig, fresh: string): Promise<FreshSteps> {
  const { dir, files, isFolder, problems } = freshFiles(name, fresh);
  if (problems.length > 0) throw new UpgradeError(problems);
  const read = await readLadderSteps({ name, ladder, config, dir, files, describeModules });
  const isScript = !isFolder && fresh.endsWith('.sql');
  // Beside a schema.sql lies whatever lies there, and none of it is run.
  const wrong = isScript ? read.problems.filter(({ place }) => place === undefined || [dir, fresh].includes(place.file)) : read.problems;
  if (wrong.length > 0) throw new UpgradeError(wrong);
  const empty = read.steps.filter((step) => step.kind === 'sql' && isEmpty(path.join(dir, step.forwardFile)));
  if (empty.length === read.steps.length) throw new UpgradeError([failure('LADDER_FRESH_EMPTY', { ladder: name, file: fresh }, at(fresh))]);
  const own = new Set(read.steps.flatMap(({ forwardFile, backwardFile }) => [forwardFile, backwardFile]));
  return {
    dir,
    steps: isFolder ? read.steps : read.steps.map((step) => ({ ...step, description: ownDescription(step) })),
    files: isScript ? read.files.filter((file) => own.has(file.path)) : read.files,
    findings: read.findings,
  };
}

/** What is wrong with it, for `upgrade check`; nothing where the ladder has none. */
export async function freshProblems(config: Config, name: string, ladder: LadderConfig): Promise<readonly Failure[]> {
  if (ladder.fresh === null) return [];
  try {
    const { dir, steps } = await readFreshSteps(config, name, ladder, ladder.fresh);
    return steps.flatMap((step) => (step.kind === 'sql' ? dialectProblems(config, name, step, path.join(dir, step.forwardFile)) : []));
  } catch (error) {
    if (!(error instanceof UpgradeError)) throw error;
    return error.failures;
  }
}

/** What the database that it is for does not understand: another one's words, and those of a shell (`.mode`, `\\connect`, `COPY … FROM stdin`). */
function dialectProblems({ databases }: Config, ladder: string, { id, database, transaction }: Step, file: string): readonly Failure[] {
  const kind = database === null ? undefined : databases[database]?.kind;
  const text = splitSql(readFileSync(file, 'utf8')).forward;
  const place = { file: path.basename(file), step: id, direction: 'forward' as const };
  if (kind === 'postgres') {
    const { statements, psql } = splitPostgres(text);
    const foreign = statements.filter(({ head }) => head.startsWith('PRAGMA '));
    return [...psql.filter((use) => use.kind !== 'variable'), ...foreign].map((use) => {
      const line = lineIn(file, use);
      return failure(
        'LADDER_FRESH_DIALECT',
        { ladder, file: place.file, line, kind, what: shortened(use.text) },
        { place: { file, line }, step: id },
      );
    });
  }
  return splitStatements(text).flatMap((statement) => {
    const word = transaction ? transactionWord(statement) : null;
    const line = lineIn(file, statement);
    if (word !== null) return [failure('STEP_OWN_TRANSACTION', { ...place, line, word }, { place: { file, line }, step: id })];
    if (!/^[.\\]|^(?:SET|COPY|COMMENT ON|GRANT|DO|CREATE (?:TYPE|SCHEMA|EXTENSION|FUNCTION|SEQUENCE|OR))\b/.test(startOf(statement)))
      return [];
    const details = { ladder, file: place.file, line, kind: 'sqlite' as const, what: shortened(statement.text) };
    return [failure('LADDER_FRESH_DIALECT', details, { place: { file, line }, step: id })];
  });
}

/** Of words the head, which knows no comments; of anything else the text. */
function startOf({ head, text }: { readonly head: string; readonly text: string }): string {
  return /^[A-Z]/.test(head) ? head : text;
}

function lineIn(file: string, { text }: { readonly text: string }): number {
  const whole = readFileSync(file, 'utf8');
  return whole.slice(0, Math.max(0, whole.indexOf(text))).split('\n').length;
}

function shortened(text: string): string {
  const [line = ''] = text.trim().split('\n');
  return line.length > 60 ? `${line.slice(0, 60)}…` : line;
}

interface FreshFiles {
  readonly dir: string;
  readonly files: readonly LadderFile[];
  readonly isFolder: boolean;
  readonly problems: readonly Failure[];
}

function freshFiles(ladder: string, fresh: string): FreshFiles {
  try {
    if (!statSync(fresh).isDirectory())
      return {
        dir: path.dirname(fresh),
        files: [{ number: 0, name: 'fresh', file: fresh }],
        isFolder: false,
        problems: fileProblems(ladder, fresh),
      };
    const { files, problems } = readFolderLadder({ ladder, dir: fresh });
    const wrong = problems.map((problem) => ({ ...problem, level: 'block' as const }));
    const missing = files.length === 0 ? [failure('LADDER_FRESH_EMPTY', { ladder, file: fresh }, at(fresh))] : [];
    return {
      dir: fresh,
      files: files.map((file) => ({ ...file, name: `fresh-${file.name}` })),
      isFolder: true,
      problems: [...asFailures(wrong), ...missing],
    };
  } catch (error) {
    const why = messageOf(error).includes('ENOENT') ? 'does not exist' : `cannot be read: ${messageOf(error)}`;
    return { dir: '', files: [], isFolder: false, problems: [failure('LADDER_FRESH_MISSING', { ladder, file: fresh, why }, at(fresh))] };
  }
}

function fileProblems(ladder: string, fresh: string): readonly Failure[] {
  if (/\.(sql|ts|js|mjs)$/.test(fresh)) return [];
  const why = 'is neither SQL nor a module (.sql, .ts, .js, .mjs)';
  return [failure('LADDER_FRESH_MISSING', { ladder, file: fresh, why }, at(fresh))];
}

function isEmpty(file: string): boolean {
  return !hasStatement(splitSql(readFileSync(file, 'utf8')).forward);
}

/** What a file does not say of itself is told from its name, which here says nothing. */
function ownDescription({ description }: Step): string {
  return description === 'fresh' ? 'fresh installation' : description;
}

function at(file: string): { readonly place: { readonly file: string } } {
  return { place: { file } };
}
