// What systemd is told of a run that one of its units has started: how far it is (sd_notify), that it may take longer, and lines of the journal with
// fields. Node has no datagram sockets, so systemd's and util-linux's own tools send them. Promises to wait for none of them longer than two seconds,
// and that a run is the same without them.
import { spawnSync } from 'node:child_process';
import { fstatSync } from 'node:fs';
import type { UpgradeEvent } from '../model/event.ts';
import type { Scrub } from './reporter.ts';
import { sanitize } from './sanitize.ts';
import { scrubValue } from './scrub.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const withinMs = 2_000;
// A unit that starts has a deadline; a run that goes on moves it.
const extendByMs = 120_000;
const extendEveryMs = 30_000;
/** Of the end of a run, to look for: journalctl MESSAGE_ID=… */
const runFinishedId = '5f0c5d5c8b8f4b6d9d2b1c0a7e3f9a41';

/** `null`: nobody listens. */
export function notifierFor(env: Environment): ((...assignments: readonly string[]) => void) | null {
  if ((env.NOTIFY_SOCKET ?? '') === '') return null;
  return (...assignments) => {
    spawnSync('systemd-notify', ['--no-block', ...assignments.map((one) => one.replace(/[\r\n]+/g, ' '))], {
      stdio: 'ignore',
      timeout: withinMs,
      env: { ...env },
    });
  };
}

/** A listener for the events of a run; `null` where no unit of systemd has started us. */
export function createSystemdListener({
  env,
  scrub,
}: {
  readonly env: Environment;
  readonly scrub: Scrub;
}): ((event: UpgradeEvent) => void) | null {
  const notify = notifierFor(env);
  const hasJournal = isJournal(env);
  if (notify === null && !hasJournal) return null;
  let extending: NodeJS.Timeout | null = null;
  const extend = (): void => notify?.(`EXTEND_TIMEOUT_USEC=${extendByMs * 1_000}`);
  return (given) => {
    const event = scrubValue(given, (text) => sanitize(scrub(text)));
    if (event.type === 'run-started' && notify !== null) {
      extend();
      extending ??= setInterval(extend, extendEveryMs).unref();
    }
    const status = statusOf(event);
    if (status !== null) notify?.(`STATUS=${status}`);
    const entry = hasJournal ? entryOf(event) : null;
    if (entry !== null) log(entry, env);
    if (event.type === 'run-finished' && extending !== null) {
      clearInterval(extending);
      extending = null;
    }
  };
}

/** Whether stderr leads to the journal, as systemd.exec(5) tells it. */
function isJournal({ JOURNAL_STREAM: stream = '' }: Environment): boolean {
  if (stream === '') return false;
  try {
    const { dev, ino } = fstatSync(2);
    return stream === `${dev}:${ino}`;
  } catch {
    return false; // Closed.
  }
}

function statusOf(event: UpgradeEvent): string | null {
  switch (event.type) {
    case 'run-started':
      return `Upgrading ${event.product} from ${event.from ?? '?'} to ${event.to ?? '?'}`;
    case 'phase-started':
      return `Upgrade: ${event.phase}`;
    case 'run-finished':
      return `Upgrade: ${event.outcome}`;
    default:
      return null;
  }
}

type Entry = Readonly<Record<string, string>>;

const priority = { error: '3', warning: '4', notice: '5', info: '6' } as const;

function entryOf(event: UpgradeEvent): Entry | null {
  const common = { SYSLOG_IDENTIFIER: 'rungs', RUNGS_RUN_ID: event.runId, RUNGS_EVENT: event.type };
  switch (event.type) {
    case 'run-started':
      return {
        MESSAGE: `${event.product}: ${event.from ?? '?'} to ${event.to ?? '?'}, ${event.steps} steps`,
        PRIORITY: priority.info,
        ...common,
      };
    case 'phase-finished':
      return {
        MESSAGE: `${event.phase} ${event.status} after ${Math.round(event.durationMs)} ms`,
        PRIORITY: event.status === 'failed' ? priority.error : priority.info,
        RUNGS_PHASE: event.phase,
        RUNGS_DURATION_MS: String(Math.round(event.durationMs)),
        ...common,
      };
    case 'step-finished':
      if (event.failure === undefined) return null;
      return {
        MESSAGE: event.failure.message,
        PRIORITY: priority.error,
        RUNGS_STEP: event.step,
        RUNGS_CODE: event.failure.code,
        RUNGS_HINT: event.failure.hint,
        ...common,
      };
    case 'warning':
      return { MESSAGE: event.message, PRIORITY: priority.warning, ...common };
    case 'run-finished':
      return {
        MESSAGE: `The run ended: ${event.outcome}${event.result.failure === null ? '' : `: ${event.result.failure.message}`}`,
        MESSAGE_ID: runFinishedId,
        PRIORITY: event.outcome === 'committed' || event.outcome === 'nothing-to-do' ? priority.notice : priority.error,
        RUNGS_OUTCOME: event.outcome,
        ...(event.result.failure === null ? {} : { RUNGS_CODE: event.result.failure.code, RUNGS_HINT: event.result.failure.hint }),
        ...common,
      };
    default:
      return null;
  }
}

function log(entry: Entry, env: Environment): void {
  // The one who writes may be gone before the journal looks who that was: it is told about whom the line is, and finds the unit by that.
  const lines = Object.entries({ ...entry, OBJECT_PID: String(process.pid) }).map(
    ([key, value]) => `${key}=${value.replace(/[\r\n]+/g, ' ')}`,
  );
  spawnSync('logger', ['--journald'], {
    input: `${lines.join('\n')}\n`,
    stdio: ['pipe', 'ignore', 'ignore'],
    timeout: withinMs,
    env: { ...env },
  });
}
