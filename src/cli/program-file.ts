// Where the program of a command lies, looked up as a shell would, before anything else is done.
import { accessSync, closeSync, constants, existsSync, openSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import { fail, messageOf } from '../model/failure.ts';

export interface ProgramFile {
  /** Absolute. */
  readonly file: string;
  /** Its own name first. */
  readonly argv: readonly string[];
}

interface Surroundings {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Throws BOOT_PROGRAM_MISSING and BOOT_PROGRAM_NOT_EXECUTABLE. */
export function findProgram([program = '', ...rest]: readonly string[], { cwd, env }: Surroundings): ProgramFile {
  const folders = program.includes('/') ? [''] : (env.PATH ?? '/usr/local/bin:/usr/bin:/bin').split(':');
  let refused: { readonly file: string; readonly why: string } | null = null;
  for (const folder of folders) {
    // An empty entry of PATH is the working folder.
    const file = path.resolve(cwd, folder, program);
    const found = program === '' ? undefined : statSync(file, { throwIfNoEntry: false });
    if (found === undefined) continue;
    const why = found.isDirectory() ? 'it is a folder' : whyNotExecutable(file);
    // A script without a first line that names its interpreter is the shell's, as everywhere.
    if (why === null) return isScriptOfNobody(file) ? { file: '/bin/sh', argv: ['sh', file, ...rest] } : { file, argv: [program, ...rest] };
    refused ??= { file, why };
  }
  if (refused !== null) throw fail('BOOT_PROGRAM_NOT_EXECUTABLE', { program: refused.file, why: refused.why });
  const where = program.includes('/') ? `${path.resolve(cwd, program)} does not exist` : 'no folder of the PATH has it';
  throw fail('BOOT_PROGRAM_MISSING', { program, where });
}

function whyNotExecutable(file: string): string | null {
  try {
    accessSync(file, constants.X_OK);
  } catch (error) {
    return messageOf(error).startsWith('EACCES') ? 'permission denied' : messageOf(error);
  }
  const interpreter = /^#!\s*(\S+)/.exec(beginningOf(file))?.[1];
  return interpreter === undefined || existsSync(interpreter) ? null : `its interpreter ${interpreter} does not exist`;
}

function isScriptOfNobody(file: string): boolean {
  const beginning = beginningOf(file);
  return !beginning.startsWith('#!') && !beginning.includes('\0');
}

function beginningOf(file: string): string {
  try {
    const fd = openSync(file, 'r');
    try {
      const bytes = Buffer.alloc(256);
      return bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0));
    } finally {
      closeSync(fd);
    }
  } catch {
    // It may be executed and not read.
    return '\0';
  }
}
