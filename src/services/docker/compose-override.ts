// The file in which Rungs keeps the images of Compose services, so that the next `docker compose up` uses them. Compose reads it by itself
// where it has the name of the project's override file; where that is the user's own, it has a name of ours, and is named in COMPOSE_FILE.
import { chownSync, closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parse, parseDocument } from 'yaml';
import { fail } from '../../model/failure.ts';
import { composeFilesOf, composeLabels } from './containers.ts';

export interface OverrideFile {
  readonly file: string;
  /** What it holds now; `null`: it is not there. */
  readonly before: string | null;
  /** `false`: nothing makes Compose read it. */
  readonly isRead: boolean;
}

const head = '# Written by Rungs: the images that upgrades gave to services. Docker Compose reads this file after';
const defaultNames: ReadonlySet<string> = new Set(['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml']);

/** `composeFile` is the one that upgrade.yaml names; `labels` are those of the service's container. Throws COMPOSE_OVERRIDE_EDITED. */
export function findOverride(composeFile: string, labels: Readonly<Record<string, string>>): OverrideFile {
  const { dir, name, ext, base } = path.parse(composeFile);
  const standard = path.join(dir, `${name}.override${ext}`);
  const own = path.join(dir, `${name}.rungs${ext}`);
  const isDefault = defaultNames.has(base) && isOurs(standard) !== false && !existsSync(own);
  const file = isDefault ? standard : own;
  if (isOurs(file) === false) throw fail('COMPOSE_OVERRIDE_EDITED', { file });
  const isNamed =
    composeFilesOf(labels).includes(file) || namesInEnvFile(labels[composeLabels.folder] ?? dir).includes(path.basename(file));
  return { file, before: read(file), isRead: isDefault || isNamed };
}

/** What the file is to hold. */
export function withImages({ before }: OverrideFile, composeFile: string, images: Readonly<Record<string, string>>): string {
  const written = parseDocument(before ?? '');
  const version = versionOf(composeFile);
  if (written.contents === null) written.commentBefore = '';
  // Older Compose wants the same in both files, where one has it.
  if (version !== null) written.set('version', version);
  for (const [service, image] of Object.entries(images)) written.setIn(['services', service, 'image'], image);
  written.commentBefore = null;
  return `${head} ${path.basename(composeFile)}.\n# Do not edit it.\n${written.toString()}`;
}

/** Whole or not at all, and on disk; `null` takes it away. One that is so already is left alone. */
export function writeOverride(file: string, text: string | null, owner: string): void {
  if (read(file) === text) return;
  if (text === null) rmSync(file);
  else {
    const { uid, gid, mode } = statSync(existsSync(file) ? file : owner);
    const beside = `${file}.rungs-partial`;
    writeFileSync(beside, text, { mode: mode & 0o777 });
    const fd = openSync(beside, 'r+');
    fsyncSync(fd);
    closeSync(fd);
    if (process.getuid?.() === 0) chownSync(beside, uid, gid);
    renameSync(beside, file);
  }
  const folder = openSync(path.dirname(file), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

/** `null`: there is none. */
function isOurs(file: string): boolean | null {
  const text = read(file);
  return text === null ? null : text.startsWith(head);
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function versionOf(composeFile: string): string | null {
  const text: unknown = parse(read(composeFile) ?? '', { logLevel: 'silent' });
  const version: unknown = typeof text === 'object' && text !== null && 'version' in text ? text.version : null;
  return typeof version === 'string' || typeof version === 'number' ? String(version) : null;
}

/** COMPOSE_FILE of the project's `.env`. */
function namesInEnvFile(folder: string): readonly string[] {
  const line = /^\s*COMPOSE_FILE\s*=\s*["']?([^"'\n]+)/m.exec(read(path.join(folder, '.env')) ?? '')?.[1] ?? '';
  return line.split(':').map((file) => path.basename(file.trim()));
}
