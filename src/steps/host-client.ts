// Starts a step host and talks to it. Promises to tell how it ended, whatever it did.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail, messageOf } from '../model/failure.ts';
import { hostEntry } from './host-entry.ts';
import type { HostReply, HostRequest } from './host/protocol.ts';
import { sendSignal } from './processes.ts';

export interface HostExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StepHost {
  readonly pid: number;
  /** `null` while it lives. */
  readonly exit: () => HostExit | null;
  /** Where its output goes from now on. */
  readonly listen: (sink: ((stream: 'stdout' | 'stderr', chunk: Buffer) => void) | null) => void;
  /** `null` when the request is done with, else how the host ended instead. One at a time. */
  readonly request: (request: HostRequest, onReply: (reply: HostReply) => void) => Promise<HostExit | null>;
  /** Beside a request that is under way. */
  readonly tell: (request: HostRequest) => void;
  /** Lets it end, and kills it where it does not. */
  readonly stop: () => Promise<void>;
  /** Lets it end, without waiting: one that is idle does so by itself. */
  readonly dismiss: () => void;
}

/** After the end of a process its pipes may still hold output; a daemon may also keep them open for ever. */
const drainMs = 300;
const stopMs = 1_000;
// Room for the title: a process's name can only be as long as its first command line was.
const titleRoom = `--title=${'.'.repeat(160)}`;

/** `lockFd` is inherited at descriptor 3. Throws STEP_HOST. */
export async function startHost(request: {
  readonly lockFd: number | null;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}): Promise<StepHost> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', hostEntry(), titleRoom, String(process.pid)], {
    cwd: request.cwd,
    env: request.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', request.lockFd ?? 'ignore', 'ipc'],
  });
  await new Promise<void>((started, failed) => {
    child.once('spawn', started);
    child.once('error', (error) => failed(fail('STEP_HOST', { error: messageOf(error) }, {}, error)));
  });
  const { pid, stdout, stderr } = child;
  if (pid === undefined || stdout === null || stderr === null) throw fail('STEP_HOST', { error: 'it has no process id' });

  let sink: ((stream: 'stdout' | 'stderr', chunk: Buffer) => void) | null = null;
  let onReply: (reply: HostReply) => void = () => {};
  let onExit: () => void = () => {};
  let exit: HostExit | null = null;
  stdout.on('data', (chunk: Buffer) => sink?.('stdout', chunk));
  stderr.on('data', (chunk: Buffer) => sink?.('stderr', chunk));
  child.on('error', () => {}); // A message that could not be sent: the exit tells why.
  child.on('message', (reply: HostReply) => onReply(reply));
  const drained = Promise.all([stdout, stderr].map((stream) => new Promise((done) => void stream.once('close', done))));
  const exited = new Promise<void>((done) => {
    child.once('exit', (code, signal) => {
      void Promise.race([drained, sleep(drainMs)]).then(() => {
        stdout.destroy();
        stderr.destroy();
        exit = { code, signal };
        onExit();
        done();
      });
    });
  });
  // Only a request that is under way keeps the orchestrator alive, not an idle host.
  const ref = (isBusy: boolean): void => {
    for (const each of [child, child.channel, stdout, stderr]) {
      const toggle: unknown = each === null || each === undefined ? undefined : Reflect.get(each, isBusy ? 'ref' : 'unref');
      if (typeof toggle === 'function') toggle.call(each);
    }
  };

  return {
    pid,
    exit: () => exit,
    listen: (next) => {
      sink = next;
    },
    request: (message, listener) =>
      new Promise((settle) => {
        if (exit !== null) return settle(exit);
        ref(true);
        onExit = () => settle(exit);
        onReply = (reply) => {
          listener(reply);
          if (reply.type !== 'finished' && reply.type !== 'released') return;
          onExit = () => {};
          settle(null);
        };
        child.send(message, (error) => {
          // It died between two requests.
          if (error !== null) sendSignal(pid, 'SIGKILL');
        });
      }),
    tell: (message) => {
      if (child.connected) child.send(message, () => {});
    },
    dismiss: () => {
      if (child.connected) child.disconnect();
      ref(false);
    },
    stop: async () => {
      if (exit !== null) return;
      ref(true);
      if (child.connected) child.disconnect();
      const isGone = await Promise.race([exited.then(() => true), sleep(stopMs, false)]);
      if (isGone) return;
      sendSignal(pid, 'SIGKILL');
      await exited;
    },
  };
}
