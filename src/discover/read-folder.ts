// Reads one transition folder: its steps' bytes, its helper files' SHA-256, and everything in it that does not belong there.
import { hash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, statSync, type Dirent } from 'node:fs';
import path from 'node:path';
import { failure, messageOf, type Failure } from '../model/failure.ts';
import type { Finding, Transition, TransitionFile, TransitionHeader } from '../model/plan.ts';
import { packName, unpackSteps } from '../model/step-pack.ts';
import { isLeftAlone } from './folder-names.ts';
import { readStepNames, type NamedStep } from './step-names.ts';
import { ownershipProblems, readTrusted, stepBytesLimit, type Trust } from './trusted-files.ts';

/** A step's bytes, before anything is read into them. */
export interface RawStep {
  readonly named: NamedStep;
  /** The folder; of a ladder without versions. */
  readonly transition: Pick<Transition, 'id' | 'dir' | 'from' | 'to'>;
  readonly sha256: string;
  readonly forward: Buffer;
  readonly backward: Buffer | null;
}

export interface ReadFolder {
  readonly header: TransitionHeader;
  readonly steps: readonly RawStep[];
  readonly files: readonly TransitionFile[];
  readonly problems: readonly Failure[];
  readonly findings: readonly Finding[];
}

interface Folder {
  readonly files: TransitionFile[];
  readonly problems: Failure[];
}

/** `isArchive`: the copies of an earlier run, where many small steps lie in one file. */
export function readFolder(header: TransitionHeader, trust: Trust, isArchive = false): ReadFolder {
  const { id, dir } = header;
  const folder: Folder = { files: [], problems: [] };
  const bytes = new Map<string, { readonly sha256: string; readonly bytes: Buffer }>();
  const names: string[] = [];
  const keep = (name: string, read: { readonly sha256: string; readonly bytes: Buffer }): void => {
    bytes.set(name, read);
    folder.files.push({ path: name, sha256: read.sha256 });
  };
  for (const entry of entriesOf(dir, trust, folder)) {
    const { name } = entry;
    const file = path.join(dir, name);
    if (isArchive && name === packName) {
      for (const [packed, step] of unpackSteps(readFileSync(file)) ?? []) {
        names.push(packed);
        keep(packed, { sha256: hash('sha256', step, 'hex'), bytes: Buffer.from(step) });
      }
      continue;
    }
    if (isHelper(name)) {
      readHelper(file, name, entry, trust, folder);
      continue;
    }
    // Neither executed nor copied, so it cannot do harm either.
    if (isLeftAlone(name)) continue;
    if (entry.isDirectory() && name === imagesFolder && Object.values(header.images).some(({ file }) => file !== null)) continue;
    if (entry.isDirectory()) folder.problems.push(failure('STRAY_ENTRY', { name, inside: id }, { place: { file } }));
    else if (!entry.isFile() && !entry.isSymbolicLink())
      folder.problems.push(failure('FILE_NOT_PLAIN', { file, kind: 'a device, a pipe or a socket' }, { place: { file } }));
    else {
      names.push(name);
      const { read, problems } = readTrusted(file, entry.isSymbolicLink(), trust, stepBytesLimit);
      folder.problems.push(...problems);
      if (read === null || read.bytes === null) continue;
      keep(name, { sha256: read.sha256, bytes: read.bytes });
    }
  }
  const images = isArchive ? header.images : readImageFiles(header, trust, folder);
  const { steps, problems } = readStepNames(id, names, (name) => ({ file: path.join(dir, name) }));
  const raw = steps.flatMap((named): readonly RawStep[] => {
    const forward = bytes.get(named.forwardFile);
    const backward = named.backwardFile === null ? undefined : bytes.get(named.backwardFile);
    if (forward === undefined || (named.backwardFile !== null && backward === undefined)) return [];
    const sha256 = backward === undefined ? forward.sha256 : hash('sha256', Buffer.concat([forward.bytes, backward.bytes]), 'hex');
    return [{ named, transition: header, sha256, forward: forward.bytes, backward: backward?.bytes ?? null }];
  });
  return {
    header: { ...header, images },
    steps: raw,
    files: folder.files.sort(byPath),
    problems: [...folder.problems, ...problems],
    findings: steps.length > 0 ? [] : [emptyTransition(header)],
  };
}

// Hashed, but not copied: an image is pinned by its id once it is loaded.
const imagesFolder = 'images';

/** Whoever may write an image file decides what runs. */
function readImageFiles({ dir, images }: TransitionHeader, trust: Trust, folder: Folder): TransitionHeader['images'] {
  return Object.fromEntries(
    Object.entries(images).map(([service, source]) => {
      const file = source.file === null ? null : path.join(dir, source.file);
      const found = file === null ? undefined : lstatSync(file, { throwIfNoEntry: false });
      // One that is missing is a problem only where the engine does not have the image: the preflight knows.
      if (file === null || found === undefined) return [service, source];
      const within = path.dirname(file);
      const { read, problems } = readTrusted(file, found.isSymbolicLink(), trust, null);
      folder.problems.push(...ownershipProblems(within, statSync(within), trust), ...problems);
      return [service, read === null ? source : { ...source, sha256: read.sha256 }];
    }),
  );
}

/** `_shared.ts`, `_lib/`: what steps import. Not what Python writes while they run. */
function isHelper(name: string): boolean {
  return name.startsWith('_') && name !== '__pycache__';
}

function readHelper(file: string, relative: string, entry: Dirent, trust: Trust, folder: Folder): void {
  if (entry.isDirectory()) {
    for (const inner of entriesOf(file, trust, folder)) {
      if (inner.name !== '__pycache__') readHelper(path.join(file, inner.name), `${relative}/${inner.name}`, inner, trust, folder);
    }
    return;
  }
  if (!entry.isFile() && !entry.isSymbolicLink()) {
    folder.problems.push(failure('FILE_NOT_PLAIN', { file, kind: 'a device, a pipe or a socket' }, { place: { file } }));
    return;
  }
  const { read, problems } = readTrusted(file, entry.isSymbolicLink(), trust, null);
  folder.problems.push(...problems);
  if (read !== null) folder.files.push({ path: relative, sha256: read.sha256 });
}

function entriesOf(dir: string, trust: Trust, folder: Folder): readonly Dirent[] {
  try {
    folder.problems.push(...ownershipProblems(dir, statSync(dir), trust));
    return readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    folder.problems.push(failure('FILE_UNREADABLE', { file: dir, error: messageOf(error) }, { place: { file: dir } }));
    return [];
  }
}

function emptyTransition({ id, dir }: TransitionHeader): Finding {
  return {
    level: 'info',
    code: 'TRANSITION_EMPTY',
    message: `The transition ${id} has no steps: only the version changes.`,
    hint: 'Nothing to do if that is meant.',
    place: { file: dir },
  };
}

function byPath(a: TransitionFile, b: TransitionFile): number {
  return a.path < b.path ? -1 : 1;
}
