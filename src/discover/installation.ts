// The installed version: read from where the configuration says, and written there last of all, atomically.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Config } from '../model/config.ts';
import { fail, messageOf, type Place } from '../model/failure.ts';
import type { Installation } from '../model/ports.ts';
import { tryParseVersion, type Version } from '../model/version.ts';
import { jsonStringAt } from './json-text.ts';
import { replaceFile } from './replace-file.ts';
import { outputOf } from './version-command.ts';

/** `journalVersion` is asked only where the source is the journal. */
export function createInstallation(config: Pick<Config, 'root' | 'version'>, journalVersion: () => Promise<Version | null>): Installation {
  const { version: source, root } = config;
  const name =
    'file' in source
      ? path.relative(root, source.file)
      : source.kind === 'command'
        ? `the command ${source.command.join(' ')}`
        : 'the journal';
  const place: { place?: Place } = 'file' in source ? { place: { file: source.file } } : {};

  const unreadable = (why: string, cause?: unknown) => fail('VERSION_UNREADABLE', { source: name, why }, place, cause);
  const unwritable = (version: Version, why: string, cause?: unknown) =>
    fail('VERSION_UNWRITABLE', { source: name, version, why }, place, cause);

  const parsed = (text: string): Version => {
    const version = tryParseVersion(text);
    if (version !== null) return version;
    const shown = text.trim();
    throw unreadable(
      shown === '' ? 'it is empty' : `"${shown.length > 40 ? `${shown.slice(0, 39)}…` : shown}" is not a semantic version such as 0.3.0`,
    );
  };

  const readText = async (file: string): Promise<string> => {
    try {
      return await readFile(file, 'utf8');
    } catch (error) {
      throw unreadable(reasonOf(error), error);
    }
  };

  const locatedIn = (text: string, pointer: string) => {
    const found = jsonStringAt(text, pointer);
    if (!found.ok) throw unreadable(found.why);
    return found;
  };

  const readVersion = async (): Promise<Version | null> => {
    if (source.kind === 'journal') return journalVersion();
    if (source.kind === 'file') return parsed((await readText(source.file)).replace(/^\uFEFF/, ''));
    if (source.kind === 'json') return parsed(locatedIn(await readText(source.file), source.pointer).value);
    const output = await outputOf(source.command, root);
    if (!output.ok) throw unreadable(output.why);
    return parsed(output.text);
  };

  const writeVersion = async (version: Version): Promise<void> => {
    if (source.kind === 'journal') return;
    if (source.kind === 'command') {
      const printed = await readVersion();
      if (printed !== version)
        throw unwritable(version, `it still prints ${printed ?? 'nothing'}; after the steps it has to print the new version`);
      return;
    }
    const before = await readFile(source.file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw unwritable(version, reasonOf(error), error);
    });
    const after = source.kind === 'file' ? respelled(before ?? '\n', version) : inJson(before ?? '', source.pointer, version);
    try {
      await replaceFile(source.file, after);
    } catch (error) {
      throw unwritable(version, reasonOf(error), error);
    }
  };

  const inJson = (text: string, pointer: string, version: Version): string => {
    const { start, end, value } = locatedIn(text, pointer);
    return text.slice(0, start) + JSON.stringify(respelled(value, version)) + text.slice(end);
  };

  return { readVersion, writeVersion };
}

/** The new version where the old one stood: a leading `v` and whatever surrounds it stay. */
function respelled(before: string, version: Version): string {
  const [, start = '', old = '', end = ''] = /^([\uFEFF\s]*)(\S*)([\s\S]*)$/.exec(before) ?? [];
  return old === '' ? `${version}${before}` : `${start}${old.startsWith('v') ? 'v' : ''}${version}${end}`;
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'ENOENT') return 'it does not exist';
  if (code === 'EISDIR') return 'it is a folder';
  if (code === 'EACCES' || code === 'EPERM') return 'permission is denied';
  if (code === 'EROFS') return 'the file system is read-only';
  if (code === 'ENOSPC') return 'the disk is full';
  return messageOf(error);
}
