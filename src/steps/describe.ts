// Asks step files what they say of themselves, in a process of their own: loading a user's file may do anything.
import { lstatSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { failure } from '../model/failure.ts';
import type { Failure } from '../model/failure.ts';
import type { DescribeModules, ModuleDescription } from '../model/ports.ts';
import { startHost } from './host-client.ts';

/** Loading only defines: a file that takes longer than this hangs. */
const loadDeadlineMs = 60_000;

export const describeModules: DescribeModules = async (files) => {
  const answers: (ModuleDescription | Failure)[] = [];
  // A file that ends its process takes the others of the batch with it, so the rest is asked again without it.
  while (answers.length < files.length) {
    const rest = files.slice(answers.length);
    const described = await describeBatch(rest);
    answers.push(...(described ?? (await describeOneByOne(rest))));
  }
  return answers;
};

async function describeBatch(files: readonly string[]): Promise<readonly (ModuleDescription | Failure)[] | null> {
  const host = await startHost({ lockFd: null, cwd: process.cwd(), env: process.env });
  const answers: (ModuleDescription | Failure)[] = [];
  const deadline = setTimeout(() => void host.stop(), loadDeadlineMs);
  const exit = await host.request({ type: 'describe', files, cacheDir: compileCacheDir() }, (reply) => {
    if (reply.type === 'described') answers.push(...reply.answers);
  });
  clearTimeout(deadline);
  // It still writes what it has compiled into the cache: nobody has to wait for that.
  host.dismiss();
  return exit === null ? answers : null;
}

async function describeOneByOne(files: readonly string[]): Promise<readonly (ModuleDescription | Failure)[]> {
  const answers: (ModuleDescription | Failure)[] = [];
  for (const file of files) {
    const [answer] = (await describeBatch([file])) ?? [];
    answers.push(answer ?? failure('STEP_LOAD', { file, error: 'it ended its process, or did not come to an end, while it was being loaded' }, { place: { file } }));
  }
  return answers;
}

/** Private, as what lies in it is executed. `null` where there can be none. */
export function compileCacheDir(): string | null {
  const dir = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'rungs');
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const found = lstatSync(dir);
    const isOurs = found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
    return isOurs ? dir : null;
  } catch {
    return null; // It only saves time.
  }
}
