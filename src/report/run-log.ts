// The run's own log: one JSON line per event in `<run.dir>/run.log`, for looking at what happened after everything else has gone.
// Made at the first event, readable for its owner only, without secrets, and never the reason why a run fails.
import { join } from 'node:path';
import pino from 'pino';
import type { UpgradeEvent } from '../model/event.ts';
import { messageOf } from '../model/failure.ts';
import { count, ladderPart } from './layout.ts';
import type { Scrub } from './reporter.ts';
import { escapeControls } from './sanitize.ts';
import { scrubValue } from './scrub.ts';

export interface RunLogOptions {
  /** `state/runs/<id>`; it has to be there. */
  readonly dir: string;
  readonly scrub: Scrub;
  /** Hears once why the log cannot be written. By default it is written to stderr. */
  readonly warn?: (message: string) => void;
}

/** Lines of output kept of one step; all of them are in the step's own log. */
const mostOutputLines = 1_000;
/** Lines are written together, since a step of a long ladder takes less time than a write; but none waits for longer than this. */
const flushAfterMs = 250;
const bufferBytes = 64 * 1024;
const mostWaitingBytes = 1024 * 1024;

/** A listener for the event bus. It writes out everything at each event that is not about a step, so nothing waits when the run ends. */
export function createRunLog({ dir, scrub, warn = toStderr }: RunLogOptions): (event: UpgradeEvent) => void {
  const outputLines = new Map<string, number>();
  const clean = (text: string) => escapeControls(scrub(text));
  let log: Log | null = null;
  let isBroken = false;
  const broken = (error: unknown) => {
    if (!isBroken) warn(`The run's log ${join(dir, 'run.log')} cannot be written: ${messageOf(error)}`);
    isBroken = true;
  };
  return (event) => {
    if (isBroken) return;
    if (event.type === 'step-output' && !isWorthKeeping(event.step)) return;
    if (event.type === 'backup-progress' || event.type === 'step-progress') return;
    if ((event.type === 'step-started' || event.type === 'step-finished') && event.transient === true) return;
    const cleaned = scrubValue(event, clean);
    const { at, ...rest } = cleaned;
    try {
      log ??= openLog(join(dir, 'run.log'), broken);
      log.logger[levelOf(event)]({ time: at, ...rest }, headline(cleaned));
      log.written(event.type.startsWith('step-'));
    } catch (error) {
      broken(error);
    }
  };

  function isWorthKeeping(step: string): boolean {
    const lines = (outputLines.get(step) ?? 0) + 1;
    outputLines.set(step, lines);
    return lines <= mostOutputLines;
  }
}

interface Log {
  readonly logger: pino.Logger;
  /** To be called after each line. */
  written(mayWait: boolean): void;
}

function openLog(file: string, broken: (error: unknown) => void): Log {
  const destination = pino.destination({
    dest: file,
    sync: true,
    append: true,
    mode: 0o600,
    minLength: bufferBytes,
    maxWrite: 2 * bufferBytes,
    maxLength: mostWaitingBytes,
  });
  destination.on('error', broken);
  let timer: NodeJS.Timeout | null = null;
  const flush = () => {
    timer = null;
    destination.flushSync();
  };
  const flushLate = () => {
    try {
      flush();
    } catch (error) {
      broken(error);
    }
  };
  return {
    logger: pino({ level: 'debug', base: null, timestamp: false }, destination),
    written(mayWait) {
      if (!mayWait) return flush();
      timer ??= setTimeout(flushLate, flushAfterMs).unref();
    },
  };
}

function levelOf(event: UpgradeEvent): 'debug' | 'info' | 'warn' | 'error' {
  switch (event.type) {
    case 'step-output':
      return 'debug';
    case 'warning':
    case 'step-survivors':
    case 'restored':
    case 'drift':
      return 'warn';
    case 'rollback-started':
      return 'error';
    case 'finding':
      return ({ block: 'error', warn: 'warn', info: 'info' } as const)[event.finding.level];
    case 'phase-finished':
      return event.status === 'failed' ? 'error' : 'info';
    case 'step-finished':
    case 'service-settled':
    case 'probe-settled': {
      const hasFailed =
        event.type === 'step-finished'
          ? event.failure !== undefined
          : event.type === 'service-settled'
            ? event.report.failure !== undefined
            : event.report.status === 'failed';
      return hasFailed ? 'error' : 'info';
    }
    default:
      return 'info';
  }
}

/** What is read first, in `jq .msg` or a log viewer. */
function headline(event: UpgradeEvent): string {
  switch (event.type) {
    case 'run-started':
      return `${event.product} ${event.from === event.to ? 'ladders' : `${event.from} to ${event.to}`}`;
    case 'phase-started':
      return `${event.phase} begins`;
    case 'phase-finished':
      return `${event.phase} ${event.status}`;
    case 'transition-started':
      return event.transition.includes('@') ? ladderPart(event.transition) : `${event.from} to ${event.to}`;
    case 'backup-verified':
      return `backup ${event.backup.id}: ${count(event.backup.files, 'file')}, read back`;
    case 'step-started':
      return `${event.step} ${event.action}`;
    case 'step-output':
      return `${event.step} ${event.stream}: ${event.line}`;
    case 'step-finished':
      return `${event.step} ${event.status}${event.failure === undefined ? '' : `: ${event.failure.message}`}`;
    case 'image-ready':
      return `image ${event.image} of ${event.service} is ${event.id}`;
    case 'service':
      return `${event.service} ${event.action}`;
    case 'service-settled':
      return `${event.report.name} ${event.report.status}`;
    case 'probe-settled':
      return `${event.report.name} ${event.report.status}`;
    case 'rollback-started':
      return `rollback: ${event.failure.message}`;
    case 'restored':
      return `${event.restored.path} put back: ${event.restored.why}`;
    case 'drift':
      return `${event.drift.path} left as it is: ${event.drift.why}`;
    case 'warning':
      return event.message;
    case 'finding':
      return event.finding.message;
    case 'run-finished':
      return `run ${event.outcome}`;
    default:
      return event.type;
  }
}

function toStderr(message: string): void {
  process.stderr.write(`warning: ${message}\n`);
}
