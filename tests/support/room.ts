// A room: namespaces of its own for mounts and processes, in which an engine runs. Whatever is started in it, and whatever it mounts, is
// gone with it, also when the tests are killed: the room stands only as long as the test's end of a pipe is open.
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { until } from './until.ts';

export interface Room {
  /** A command line that does `argv` inside. */
  inside(argv: readonly string[], env?: Readonly<Record<string, string>>): readonly [string, ...string[]];
  run(argv: readonly string[], env?: Readonly<Record<string, string>>): Promise<string>;
  end(): Promise<void>;
}

interface RoomOptions {
  /** Names its control group. */
  readonly name: string;
  /** A shell script that is the room's first process; it must not end. */
  readonly script: string;
  /** More of `unshare`'s flags. */
  readonly unshare?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** The end of a script: the first process of a room gets the orphans, and must bury them. */
export const reaper = 'while :; do sleep 3600 & wait $!; done';

const execute = promisify(execFile);

export async function openRoom({ name, script, unshare = [], env = {} }: RoomOptions): Promise<Room> {
  const groups = controlGroups(name);
  for (const group of groups) mkdirSync(group, { recursive: true });
  const flags = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private', ...unshare];
  const holder = spawn('sh', ['-c', holderScript, 'sh', groups.join(' '), script, ...flags], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  });
  let said = '';
  holder.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4000)));
  const ended = new Promise<void>((resolve) => holder.once('exit', () => resolve()));
  const first = await until('the room’s first process', () => {
    if (holder.exitCode !== null) throw new Error(`the room did not open: ${said}`);
    return childrenOf(holder.pid ?? 0).flatMap(childrenOf)[0] ?? null;
  });
  const enter = ['-t', String(first), '-m', '-p', ...unshare.filter((flag) => flag in entering).map((flag) => entering[flag] ?? '')];
  const inside = (argv: readonly string[], more: Readonly<Record<string, string>> = {}): readonly [string, ...string[]] => [
    'nsenter',
    ...enter,
    'env',
    ...Object.entries({ ...env, ...more }).map(([key, value]) => `${key}=${value}`),
    ...argv,
  ];
  return {
    inside,
    run: async (argv, more) => {
      const [file, ...rest] = inside(argv, more);
      return (await execute(file, rest, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })).stdout;
    },
    end: async () => {
      holder.stdin.end();
      await ended;
      await until('the room’s processes to be gone', () => (groups.every(removeGroup) ? true : null));
    },
  };
}

// The pipe from the test is read by `cat` alone: when it closes, for whatever reason, the room is torn down by the kernel; and so it is when
// this shell is killed.
const holderScript = `
for group in $1; do echo $$ > "$group/cgroup.procs"; done
script=$2; shift 2
setpriv --pdeathsig KILL unshare "$@" sh -c "$script" </dev/null >&2 &
cat >/dev/null
kill -9 $!
wait $!
`;

const entering: Readonly<Record<string, string>> = { '--cgroup': '-C', '--ipc': '-i', '--uts': '-u' };

/** One in each hierarchy that systemd or Docker tells processes apart by. */
function controlGroups(name: string): readonly string[] {
  const base = '/sys/fs/cgroup';
  const roots = existsSync(path.join(base, 'cgroup.controllers')) ? [base] : [path.join(base, 'unified'), path.join(base, 'systemd')];
  return roots.filter((root) => existsSync(path.join(root, 'cgroup.procs'))).map((root) => path.join(root, name));
}

/** Whether it is gone: a group goes when its last process is gone. */
export function removeGroup(group: string): boolean {
  if (!existsSync(group)) return true;
  for (const entry of readdirSync(group, { withFileTypes: true })) if (entry.isDirectory()) removeGroup(path.join(group, entry.name));
  try {
    rmdirSync(group);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EBUSY') return false;
    return !existsSync(group);
  }
}

export function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
