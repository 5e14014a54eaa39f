// The last lines that a container wrote, taken apart where the engine mixes stdout and stderr, and how it ended.
import { lastLines } from '../../processes/tail.ts';
import type { Container } from './containers.ts';
import type { Engine } from './engine.ts';

const lines = 20;
const headerBytes = 8;

/** Empty where the log cannot be read: some log drivers do not keep one. */
export async function lastLinesOf(engine: Engine, container: Container): Promise<readonly string[]> {
  const log = await engine
    .call(
      'read the log',
      (docker, abortSignal) =>
        docker.getContainer(container.Id).logs({ stdout: true, stderr: true, tail: lines, follow: false, abortSignal }),
      { timeoutMs: 10_000, patienceMs: 0 },
    )
    .catch(() => Buffer.alloc(0));
  const written = lastLines((container.Config.Tty ? log : withoutHeaders(log)).toString('utf8'), lines);
  return [...written, ...ending(container)];
}

/** Frames of `[stream, 0, 0, 0, length (4 bytes, big endian)]` and the text. */
export function withoutHeaders(log: Buffer): Buffer {
  const texts: Buffer[] = [];
  for (let at = 0; at + headerBytes <= log.length;) {
    const end = at + headerBytes + log.readUInt32BE(at + 4);
    texts.push(log.subarray(at + headerBytes, end));
    at = end;
  }
  return Buffer.concat(texts);
}

function ending({ State, RestartCount }: Container): readonly string[] {
  const { Status, ExitCode, OOMKilled, Error: error } = State;
  if (Status === 'running' || Status === 'created') return [];
  const memory = OOMKilled ? ', out of memory' : '';
  const restarts = RestartCount > 0 ? `, restarted ${RestartCount} times` : '';
  return [`(the container is ${Status}: exit code ${ExitCode}${memory}${restarts}${error === '' ? '' : `; ${error}`})`];
}
