// What a caller hands to the process that runs its plan: a file in the state folder that only its owner can read, gone once it was read. So nothing
// secret stands on a command line or in a unit's properties. The other way goes the answer of a run that did not begin.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ulid } from 'ulid';
import type { Config } from '../model/config.ts';
import { fail, messageOf, type Failure } from '../model/failure.ts';
import { hasItsHash, type PreparedPlan } from './planning.ts';

export interface Handover {
  readonly runId: string;
  readonly config: string;
  readonly root: string;
  readonly plan: PreparedPlan;
  /** Of the process. */
  readonly env: Readonly<Record<string, string>>;
  /** What the caller's config was read with; `null`: the same. */
  readonly configEnv: Readonly<Record<string, string>> | null;
  readonly umask: number;
}

export interface HandoverPlace {
  readonly file: string;
  /** Where a session writes what it has to say. */
  readonly output: string;
  /** `null`: nothing yet. */
  answer(): readonly Failure[] | null;
  /** Whether it was taken. */
  isTaken(): boolean;
  remove(): void;
}

// Whoever wrote a file that is older has given up long ago.
const leftOverMs = 3_600_000;

/** Throws STATE_NOT_WRITABLE. */
export function writeHandover({ state }: Pick<Config, 'state'>, handover: Handover): HandoverPlace {
  const parent = path.join(state, 'handover');
  const dir = path.join(parent, handover.runId);
  const file = path.join(dir, 'run.json');
  try {
    mkdirSync(state, { recursive: true, mode: 0o700 });
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    removeLeftOvers(parent);
    writeWhole(file, JSON.stringify(handover));
  } catch (error) {
    throw fail('STATE_NOT_WRITABLE', { path: dir, reason: messageOf(error) }, {}, error);
  }
  return {
    file,
    output: path.join(dir, 'output.log'),
    answer: () => {
      const text = readIfThere(answerFile(file));
      return text === null ? null : (JSON.parse(text) as readonly Failure[]);
    },
    isTaken: () => statSync(file, { throwIfNoEntry: false }) === undefined,
    remove: () => removeHandover(file),
  };
}

/** Throws HANDOVER_UNUSABLE. */
export function readHandover(file: string): Handover {
  try {
    const handover = JSON.parse(readFileSync(file, 'utf8')) as Handover;
    if (!hasItsHash(handover.plan)) throw new Error('its plan is not the one that was made');
    return handover;
  } catch (error) {
    throw fail('HANDOVER_UNUSABLE', { file, reason: messageOf(error) }, {}, error);
  }
}

/** Nobody else can take it, or read what is secret in it, from here on. */
export function takeHandover(file: string): Handover {
  const handover = readHandover(file);
  rmSync(file);
  return handover;
}

/** Why the run did not begin. Where nobody waits for it any more it is lost: the output has it, too. */
export function answerHandover(file: string, failures: readonly Failure[]): void {
  try {
    writeWhole(answerFile(file), JSON.stringify(failures));
  } catch {
    // Told on the output.
  }
}

/** With the folders that hold nothing else. */
export function removeHandover(file: string): void {
  const dir = path.dirname(file);
  rmSync(dir, { recursive: true, force: true });
  const parent = path.dirname(dir);
  for (const folder of [parent, path.dirname(parent)]) {
    try {
      rmdirSync(folder);
    } catch {
      return; // Something else is in it.
    }
  }
}

/** Of callers that were killed before anybody took what they wrote. The age is that of the id, in whose first ten letters the time is. */
function removeLeftOvers(parent: string): void {
  const oldest = ulid(Date.now() - leftOverMs).slice(0, 10);
  for (const name of readdirSync(parent)) {
    if (name.slice(0, 10) < oldest) rmSync(path.join(parent, name), { recursive: true, force: true });
  }
}

function answerFile(file: string): string {
  return path.join(path.dirname(file), 'answer.json');
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function writeWhole(file: string, text: string): void {
  writeFileSync(`${file}.partial`, text, { mode: 0o600 });
  renameSync(`${file}.partial`, file);
}
