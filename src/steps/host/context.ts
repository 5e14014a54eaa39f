// What a module step is handed: everything that it may do to the installation, bound to one half of one step.
import { inspect } from 'node:util';
import type { StepContext, StepLog } from '../../step-api.ts';
import { createBatches } from './batches.ts';
import { createExec } from './exec.ts';
import { createStepFiles } from './files.ts';
import { controlPrefix } from './protocol.ts';
import type { HostOrder, HostReply, HostRun } from './protocol.ts';
import type { Session } from './session.ts';

const progressEveryMs = 100;

export function createContext(
  order: HostOrder,
  run: HostRun,
  session: Session,
  signal: AbortSignal,
  send: (reply: HostReply) => void,
  { isLooking = false }: { readonly isLooking?: boolean } = {},
): StepContext {
  const progress = createProgress(order.id, send);
  const base = {
    root: run.root,
    from: order.from,
    to: order.to,
    step: order.id,
    runId: run.runId,
    direction: order.direction,
    signal,
    log: createLog(run.nonce),
    progress,
    exec: createExec(run.root, signal, (command) => session.note('exec', command)),
    sqlite: session.sqlite,
    postgres: session.postgres,
    ...createBatches({ order, run, session, isLooking }, { signal, progress }),
  };
  let files: StepContext['files'] | null = null;
  return {
    ...base,
    // Spreading would read the checkpoint now; and most SQL-like steps touch no file.
    get files() {
      files ??= createStepFiles(order, run);
      return files;
    },
  };
}

// Through the output pipe, so that it keeps its place among what the step prints.
function createLog(nonce: string): StepLog {
  const prefix = `${controlPrefix(nonce)}L`;
  const write = (level: string, parts: readonly unknown[]): void => {
    const text = parts.map((part) => (typeof part === 'string' ? part : inspect(part, { depth: 4, breakLength: Infinity }))).join(' ');
    const lines = text.split('\n').map((line) => `${prefix}${level === '' ? '' : `${level}: `}${line}\n`);
    process.stdout.write(lines.join(''));
  };
  return Object.assign((...parts: readonly unknown[]) => write('', parts), {
    info: (...parts: readonly unknown[]) => write('', parts),
    warn: (...parts: readonly unknown[]) => write('warning', parts),
    error: (...parts: readonly unknown[]) => write('error', parts),
    debug: (...parts: readonly unknown[]) => write('debug', parts),
  });
}

/** At most one message per 100 ms, but always the last one of all. */
function createProgress(step: string, send: (reply: HostReply) => void): StepContext['progress'] {
  let sentAt = -Infinity;
  return (done, total, note) => {
    const now = performance.now();
    if (now - sentAt < progressEveryMs && done !== total) return;
    sentAt = now;
    send({ type: 'progress', step, done, total: total ?? null, note: note ?? '' });
  };
}
