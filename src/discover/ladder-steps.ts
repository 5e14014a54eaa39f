// Reads the steps of a ladder in full: bytes, SHA-256 and metadata of those that are asked for, and the files beside them that steps may import.
// They lie in the ladder's own folder, or among the copies that the run which applied them has kept.
import { hash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, realpathSync, statSync, type Dirent } from 'node:fs';
import path from 'node:path';
import type { Config, LadderConfig } from '../model/config.ts';
import { failure, messageOf, type Failure } from '../model/failure.ts';
import type { LadderFile } from '../model/ladder.ts';
import type { Finding, Step, StepKind, TransitionFile } from '../model/plan.ts';
import type { DescribeModules } from '../model/ports.ts';
import { packName, unpackSteps } from '../model/step-pack.ts';
import { describeSteps } from './describe-steps.ts';
import type { RawStep } from './read-folder.ts';
import { ownershipProblems, readTrusted, stepBytesLimit, trustOf, type Trust } from './trusted-files.ts';

export interface LadderStepsRequest {
  readonly name: string;
  readonly ladder: LadderConfig;
  readonly config: Pick<Config, 'file' | 'services' | 'databases' | 'ladders'>;
  /** The folder that is read, absolute: the ladder's own, or copies of it. */
  readonly dir: string;
  /** Those to read, in the order wanted. */
  readonly files: readonly LadderFile[];
  readonly describeModules: DescribeModules;
}

export interface LadderSteps {
  /** In the order of the request; one with a problem is left out. */
  readonly steps: readonly Step[];
  /** Step files and what lies beside them. */
  readonly files: readonly TransitionFile[];
  readonly problems: readonly Failure[];
  readonly findings: readonly Finding[];
}

const kinds: Readonly<Record<string, StepKind>> = { ts: 'ts', js: 'js', mjs: 'js', sql: 'sql', sh: 'sh', py: 'py' };
// What a step may import or read. Anything else in the folder is somebody else's.
const besides = /\.(ts|js|mjs|cjs|json|py|sh|sql|txt|conf|tmpl)$/;
const besidesLimit = 4 * 1024 ** 2;

export async function readLadderSteps(request: LadderStepsRequest): Promise<LadderSteps> {
  const { ladder } = request;
  const problems: Failure[] = [];
  const folder = openFolder(request, problems);
  if (folder === null) return { steps: [], files: [], problems, findings: [] };
  const raw: RawStep[] = [];
  const files: TransitionFile[] = [];
  for (const file of request.files) {
    const step = readStep(file, folder, request, problems);
    if (step === null) continue;
    raw.push(step.raw);
    files.push(...step.files);
  }
  files.push(...helperFiles(folder, request, problems));
  const known = databaseOf(ladder, request.config);
  const described = await describeSteps(raw, {
    describeModules: request.describeModules,
    known: request.config,
    database: known,
    isLadder: true,
  });
  const order = new Map(raw.map(({ named }, at) => [named.id, at]));
  const descriptions = new Map(request.files.map((file) => [ladderStepId(request.name, file), file.description ?? null]));
  return {
    steps: described.steps
      .map(({ step }) => (ladder.kind === 'index' ? asScript(step, descriptions.get(step.id) ?? null) : step))
      .toSorted((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0)),
    files: files.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    problems: [...problems, ...described.problems],
    findings: described.findings,
  };
}

/** `main/005_add_email`, `system/00000002`. */
export function ladderStepId(ladder: string, { name }: Pick<LadderFile, 'name'>): string {
  return `${ladder}/${name}`;
}

/** Hex, of the bytes that count: of the file, or of both halves. */
export function ladderFileSha256(dir: string, file: LadderFile): string | null {
  const halves = [path.basename(file.file), backwardOf(file, (name) => existsSync(path.join(dir, name)))].filter((name) => name !== null);
  try {
    return hash('sha256', Buffer.concat(halves.map((name) => readFileSync(path.join(dir, name)))), 'hex');
  } catch (error) {
    if (messageOf(error).includes('ENOENT')) return null;
    throw error;
  }
}

/** Scripts of an index may be run any number of times: the systems that have them demand it. */
function asScript(step: Step, description: string | null): Step {
  const hasBackward = step.backwardFile !== null;
  // What a script says of itself counts; else what the index says of it.
  const describesItself = /\D/.test(step.description);
  return {
    ...step,
    ...(describesItself || description === null ? {} : { description }),
    isPlainScript: true,
    idempotent: true,
    hasBackward,
    isReversible: hasBackward,
  };
}

interface Folder {
  readonly trust: Trust;
  readonly entries: ReadonlyMap<string, Dirent>;
  readonly packed: ReadonlyMap<string, Uint8Array>;
}

function openFolder({ config, dir, name }: LadderStepsRequest, problems: Failure[]): Folder | null {
  try {
    const real = realpathSync(dir);
    const trust = trustOf(config.file, real);
    problems.push(...ownershipProblems(dir, statSync(dir), trust));
    const pack = path.join(dir, packName);
    return {
      trust,
      entries: new Map(readdirSync(dir, { withFileTypes: true }).map((entry) => [entry.name, entry])),
      packed: existsSync(pack) ? (unpackSteps(readFileSync(pack)) ?? new Map()) : new Map(),
    };
  } catch (error) {
    const why = messageOf(error).includes('ENOENT') ? 'does not exist' : `cannot be read: ${messageOf(error)}`;
    problems.push(failure('LADDER_DIR_MISSING', { ladder: name, dir, why }, { place: { file: dir } }));
    return null;
  }
}

function readStep(
  file: LadderFile,
  folder: Folder,
  { name: ladder, dir }: LadderStepsRequest,
  problems: Failure[],
): { readonly raw: RawStep; readonly files: readonly TransitionFile[] } | null {
  const forwardFile = path.basename(file.file);
  const backwardFile = backwardOf(file, (name) => folder.entries.has(name) || folder.packed.has(name));
  const kind = kinds[/\.([a-z]+)$/.exec(forwardFile)?.[1] ?? ''];
  const forward = contentOf(forwardFile, folder, dir, problems);
  const backward = backwardFile === null ? null : contentOf(backwardFile, folder, dir, problems);
  if (kind === undefined || forward === null || (backwardFile !== null && backward === null)) return null;
  const sha256 = backward === null ? forward.sha256 : hash('sha256', Buffer.concat([forward.bytes, backward.bytes]), 'hex');
  return {
    raw: {
      named: { id: ladderStepId(ladder, file), number: file.number, name: file.name.replace(/^\d+_/, ''), kind, forwardFile, backwardFile },
      transition: { id: ladder, dir, from: null, to: null },
      sha256,
      forward: forward.bytes,
      backward: backward?.bytes ?? null,
    },
    files: [
      { path: forwardFile, sha256: forward.sha256 },
      ...(backwardFile === null || backward === null ? [] : [{ path: backwardFile, sha256: backward.sha256 }]),
    ],
  };
}

/** `005_x.down.sql` for `005_x.up.sql` or `005_x.sql`, `00000005.down.sh` for `00000005.sh`. */
function backwardOf({ file }: LadderFile, isThere: (name: string) => boolean): string | null {
  const name = path.basename(file);
  const wanted = name.replace(/(\.up)?\.(sql|sh|py)$/, '.down.$2');
  return wanted !== name && isThere(wanted) ? wanted : null;
}

function contentOf(
  name: string,
  { packed, entries, trust }: Folder,
  dir: string,
  problems: Failure[],
): { readonly bytes: Buffer; readonly sha256: string } | null {
  const inPack = packed.get(name);
  if (inPack !== undefined) return { bytes: Buffer.from(inPack), sha256: hash('sha256', inPack, 'hex') };
  const isLink = entries.get(name)?.isSymbolicLink() ?? false;
  const { read, problems: found } = readTrusted(path.join(dir, name), isLink, trust, stepBytesLimit);
  problems.push(...found);
  return read === null || read.bytes === null ? null : { bytes: read.bytes, sha256: read.sha256 };
}

/** Modules that steps import from their own folder, and `_lib/` folders. Numbered files are steps, and come only if they are asked for. */
function helperFiles({ entries, trust }: Folder, { dir }: LadderStepsRequest, problems: Failure[]): readonly TransitionFile[] {
  const found: TransitionFile[] = [];
  const walk = (entry: Dirent, relative: string): void => {
    const file = path.join(dir, relative);
    if (entry.isDirectory()) {
      for (const inner of readdirSync(file, { withFileTypes: true }))
        if (inner.name !== '__pycache__') walk(inner, `${relative}/${inner.name}`);
      return;
    }
    if (!entry.isFile() && !entry.isSymbolicLink()) return;
    const { read, problems: wrong } = readTrusted(file, entry.isSymbolicLink(), trust, null);
    problems.push(...wrong);
    if (read !== null) found.push({ path: relative, sha256: read.sha256 });
  };
  for (const entry of entries.values()) {
    const isShared = entry.name.startsWith('_') && entry.name !== '__pycache__';
    const isBeside =
      !entry.isDirectory() &&
      !/^\d|^\./.test(entry.name) &&
      besides.test(entry.name) &&
      // A link that leads nowhere is nobody's helper.
      (statSync(path.join(dir, entry.name), { throwIfNoEntry: false })?.size ?? Infinity) <= besidesLimit;
    if (isShared || isBeside) walk(entry, entry.name);
  }
  return found;
}

function databaseOf(ladder: LadderConfig, { databases }: Pick<Config, 'databases'>): string | null {
  if (ladder.kind === 'index') return null;
  const names = Object.keys(databases);
  return ladder.database ?? (names.length === 1 ? (names[0] ?? null) : null);
}
