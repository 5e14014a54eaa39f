// Asks step files what they say of themselves, in a process of their own: loading a user's file may do anything.
import { availableParallelism } from 'node:os';
import { failure } from '../model/failure.ts';
import type { Failure } from '../model/failure.ts';
import type { DescribeModules, ModuleDescription } from '../model/ports.ts';
import { startHost } from './host-client.ts';
import { rememberStripped } from './stripped-code.ts';

/** Loading only defines: a file that takes longer than this hangs. */
const loadDeadlineMs = 60_000;

/** A process for fewer than this would cost more than it saves. */
const filesPerHost = 100;

export const describeModules: DescribeModules = async (files) => {
  const hosts = Math.min(availableParallelism(), 4, Math.ceil(files.length / filesPerHost));
  const size = Math.ceil(files.length / hosts);
  const shares = Array.from({ length: hosts }, (_, index) => files.slice(index * size, (index + 1) * size));
  return (await Promise.all(shares.map(describeShare))).flat();
};

async function describeShare(files: readonly string[]): Promise<readonly (ModuleDescription | Failure)[]> {
  const answers: (ModuleDescription | Failure)[] = [];
  // A file that ends its process takes the others of the batch with it, so the rest is asked again without it.
  while (answers.length < files.length) {
    const rest = files.slice(answers.length);
    const described = await describeBatch(rest);
    answers.push(...(described ?? (await describeOneByOne(rest))));
  }
  return answers;
}

async function describeBatch(files: readonly string[]): Promise<readonly (ModuleDescription | Failure)[] | null> {
  const host = await startHost({ lockFd: null, cwd: process.cwd(), env: process.env });
  const answers: (ModuleDescription | Failure)[] = [];
  const deadline = setTimeout(() => void host.stop(), loadDeadlineMs);
  const exit = await host.request({ type: 'describe', files }, (reply) => {
    if (reply.type !== 'described') return;
    answers.push(...reply.answers);
    rememberStripped(reply.stripped);
  });
  clearTimeout(deadline);
  // Nobody has to wait for its end.
  host.dismiss();
  return exit === null ? answers : null;
}

async function describeOneByOne(files: readonly string[]): Promise<readonly (ModuleDescription | Failure)[]> {
  const answers: (ModuleDescription | Failure)[] = [];
  for (const file of files) {
    const [answer] = (await describeBatch([file])) ?? [];
    answers.push(
      answer ??
        failure(
          'STEP_LOAD',
          { file, error: 'it ended its process, or did not come to an end, while it was being loaded' },
          { place: { file } },
        ),
    );
  }
  return answers;
}
