// Asks and tells systemd, through `systemctl` and `journalctl`.
// Promises an end by the deadline, words that do not depend on the machine's language, and another try where systemd is away for a moment.
import { execa } from 'execa';
import { fail, UpgradeError } from '../../model/failure.ts';
import type { Clock } from '../../model/ports.ts';
import { lastLines } from '../../processes/tail.ts';
import { cancelled } from '../cancelled.ts';

export type Scope = 'system' | 'user';

export interface Answer {
  readonly exitCode: number | null;
  readonly stdout: string;
  /** The last lines of what it complained about. */
  readonly lines: readonly string[];
  readonly end: 'exited' | 'timed-out' | 'not-started';
}

interface Request {
  readonly scope: Scope;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** systemd is away while it executes itself anew, or while its bus is started again. */
const awayMs = 5_000;
const awayPauseMs = 200;
const isAway =
  /Failed to (connect to (system scope )?bus|get properties: (Connection|Transport|Disconnected|Message recipient disconnected))|Connection refused|Transport endpoint is not connected|Connection reset by peer|No medium found/;
const isRefused = /Interactive authentication required|Access denied|Permission denied|Operation not permitted/;

/** Throws SYSTEMD_UNREACHABLE where it cannot be asked at all, SYSTEMD_DENIED where we may not; what it refuses is in the answer. */
export async function systemctl(args: readonly string[], request: Request): Promise<Answer> {
  const { scope, clock, signal } = request;
  const until = clock.monotonic() + Math.min(awayMs, request.timeoutMs);
  for (;;) {
    const answer = await runTool('systemctl', [`--${scope}`, '--no-pager', '--no-ask-password', ...args], request);
    const said = answer.lines.join('\n');
    if (answer.end === 'not-started') throw fail('SYSTEMD_UNREACHABLE', { scope, account: said });
    if (answer.exitCode === 0 || answer.end === 'timed-out') return answer;
    if (isRefused.test(said)) throw fail('SYSTEMD_DENIED', { scope, command: `systemctl ${args.join(' ')}` }, { log: answer.lines });
    if (!isAway.test(said)) return answer;
    if (clock.monotonic() >= until) throw fail('SYSTEMD_UNREACHABLE', { scope, account: answer.lines.at(-1) ?? said });
    await clock.sleep(awayPauseMs, signal).catch(() => undefined);
  }
}

/** Never throws for what the tool says. Throws CANCELLED. */
export async function runTool(
  file: 'systemctl' | 'journalctl',
  args: readonly string[],
  { scope, timeoutMs, signal }: Omit<Request, 'clock'>,
): Promise<Answer> {
  if (signal?.aborted === true) throw new UpgradeError([cancelled(signal)]);
  const result = await execa(file, args, {
    reject: false,
    stdin: 'ignore',
    timeout: Math.max(1, Math.ceil(timeoutMs)),
    ...(signal === undefined ? {} : { cancelSignal: signal }),
    maxBuffer: 4 * 1024 * 1024,
    env: environmentOf(scope),
  });
  if (result.isCanceled) throw new UpgradeError([cancelled(signal)]);
  if (result.timedOut) return { exitCode: null, stdout: result.stdout, lines: lastLines(result.stderr), end: 'timed-out' };
  // A file that is not there: no exit code and nothing printed.
  if (result.exitCode === undefined && result.signal === undefined)
    return {
      exitCode: null,
      stdout: '',
      lines: [`${file} could not be started (${result.code ?? result.shortMessage})`],
      end: 'not-started',
    };
  return { exitCode: result.exitCode ?? null, stdout: result.stdout, lines: lastLines(result.stderr), end: 'exited' };
}

/** A user's systemd is found through its run-time folder, which cron and sudo take out of the environment. */
function environmentOf(scope: Scope): Readonly<Record<string, string>> {
  const plain = { LC_ALL: 'C', SYSTEMD_COLORS: '0', SYSTEMD_URLIFY: '0' };
  const uid = process.getuid?.();
  if (scope === 'system' || uid === undefined) return plain;
  const runtime = process.env.XDG_RUNTIME_DIR ?? `/run/user/${uid}`;
  return {
    ...plain,
    XDG_RUNTIME_DIR: runtime,
    DBUS_SESSION_BUS_ADDRESS: process.env.DBUS_SESSION_BUS_ADDRESS ?? `unix:path=${runtime}/bus`,
  };
}
