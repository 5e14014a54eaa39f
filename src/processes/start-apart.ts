// Starts a program that lives on when its starter, and whatever the starter is part of, is stopped: in a transient unit of systemd where one can be
// had, else in a session of its own. Nothing but the command line is seen by others: no environment is handed over here.
import { execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { fail } from '../model/failure.ts';
import { withoutForeignDescriptors } from './foreign-descriptors.ts';

export interface ApartRequest {
  readonly argv: readonly [string, ...string[]];
  /** Of the unit, without `.service`. */
  readonly name: string;
  /** For people who list units. */
  readonly description: string;
  /** Of the program, where it becomes a session: a unit begins with the manager's. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For its output, where it becomes a session: a unit's goes to the journal. */
  readonly output: string;
}

export interface Apart {
  /** `null`: a session. */
  readonly unit: { readonly name: string; readonly scope: Scope } | null;
  /** Whether it has ended, by itself or by force. */
  hasEnded(): Promise<boolean>;
  /** Asks it to end, as `kill` and `systemctl stop` do, without waiting for it. */
  end(): Promise<void>;
}

type Scope = 'system' | 'user';

const execute = promisify(execFile);
const answerWithinMs = 30_000;

export async function startApart(request: ApartRequest): Promise<Apart> {
  for (const scope of scopes(request.env)) {
    const apart = await startUnit(request, scope);
    if (apart !== null) return apart;
  }
  return startSession(request);
}

/** Which managers to ask, in this order. */
function scopes(env: ApartRequest['env']): readonly Scope[] {
  // As sd_booted(3) has it.
  if (!existsSync('/run/systemd/system')) return [];
  if (process.geteuid?.() === 0) return ['system', 'user'];
  // A user's manager goes with the user's last session, unless it lingers: a session that was left by logging out lives longer.
  const isPartOfIt = ownControlGroup().includes('/user@');
  const lingers = existsSync(path.join('/var/lib/systemd/linger', env['USER'] ?? os.userInfo().username));
  return isPartOfIt || lingers ? ['user'] : [];
}

/** Where this process is in the hierarchy that systemd keeps; empty where there is none. */
export function ownControlGroup(): string {
  try {
    const lines = readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n');
    // Its own hierarchy, or the unified one: which of the two it keeps is to be seen by its names.
    const groups = lines.filter((line) => /^0::|:name=systemd:/.test(line)).map((line) => line.replace(/^\d+:[^:]*:/, ''));
    return groups.find((group) => group.includes('.slice')) ?? groups[0] ?? '';
  } catch {
    return '';
  }
}

/** `null` where this manager cannot be had. */
async function startUnit({ argv, name, description, env }: ApartRequest, scope: Scope): Promise<Apart | null> {
  const unit = `${name}.service`;
  const settings = [
    // Steps, and daemons that commands of the config start, are nobody's but their own: the end of the run is not theirs.
    'KillMode=process',
    'OOMPolicy=continue',
    // A run that is asked to stop puts everything back first.
    'TimeoutStopSec=10min',
  ].map((setting) => `--property=${setting}`);
  const words = [
    `--${scope}`,
    '--quiet',
    '--collect',
    '--service-type=exec',
    `--unit=${unit}`,
    `--description=${description}`,
    ...settings,
  ];
  const manager = managerEnvironment(env, scope);
  const ask = async (program: string, args: readonly string[]): Promise<string> =>
    (await execute(program, [...args], { env: manager, timeout: answerWithinMs, encoding: 'utf8' })).stdout;
  try {
    await ask('systemd-run', [...words, '--', ...argv]);
  } catch (error) {
    // Whether it has begun to start it is not known then: a second one beside it must not be.
    if (error instanceof Error && 'killed' in error && error.killed === true)
      throw fail('DETACHED_RUN_DID_NOT_START', { reason: `systemd did not answer within ${answerWithinMs / 1000} s` }, {}, error);
    return null;
  }
  return {
    unit: { name: unit, scope },
    hasEnded: async () => {
      // One that was collected is inactive, too.
      const state = await ask('systemctl', [`--${scope}`, 'show', '--property=ActiveState', '--value', unit]).catch(() => '');
      return ['inactive', 'failed'].includes(state.trim());
    },
    end: async () => {
      await ask('systemctl', [`--${scope}`, 'stop', '--no-block', unit]);
    },
  };
}

function managerEnvironment(env: ApartRequest['env'], scope: Scope): Record<string, string | undefined> {
  const { PATH, HOME, XDG_RUNTIME_DIR, DBUS_SESSION_BUS_ADDRESS } = env;
  const runtime = XDG_RUNTIME_DIR ?? `/run/user/${process.geteuid?.() ?? 0}`;
  const programs = { PATH: `${PATH ?? ''}:/usr/bin:/bin`, LC_ALL: 'C' };
  return scope === 'system' ? programs : { ...programs, HOME, XDG_RUNTIME_DIR: runtime, DBUS_SESSION_BUS_ADDRESS };
}

function startSession({ argv: [file, ...args], env, output }: ApartRequest): Apart {
  const sink = openSync(output, 'a', 0o600);
  const child = withoutForeignDescriptors(['ignore', sink, sink], (stdio) =>
    spawn(file, args, { cwd: '/', env: { ...env }, detached: true, stdio }),
  );
  closeSync(sink);
  let isOver = false;
  // A program that cannot be started has ended, too.
  child.once('exit', () => (isOver = true)).once('error', () => (isOver = true));
  child.unref();
  return { unit: null, hasEnded: async () => isOver, end: async () => void child.kill('SIGTERM') };
}
