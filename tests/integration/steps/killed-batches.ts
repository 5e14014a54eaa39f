// An installation with one step that goes through many rows in batches, and the real program that is killed with all its processes at random batches.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesIn, repository } from '../pipeline/installation.ts';
import { until } from './workbench.ts';

export interface Batched {
  readonly root: string;
  /** Of all attempts: `forward 1`, as each batch begins. */
  readonly begun: () => readonly string[];
  readonly begunAtLeast: (count: number) => Promise<void>;
  /** Runs the executable to its end. Throws, with what it said, where it ends with another code. */
  readonly upgrade: (code: number, ...args: readonly string[]) => Promise<void>;
  /** The same, and kills it and its steps once as many batches have begun in all. Throws where it ended before. */
  readonly killed: (whenBegun: number, ...args: readonly string[]) => Promise<void>;
  readonly remove: () => void;
}

/** `database`: as in upgrade.yaml. `change`: what a batch hands to `db.run`, with `by` as the number that is added. */
export function makeBatched(size: number, { database, change }: { readonly database: string; readonly change: string }): Batched {
  const root = realpathSync(mkdtempSync(path.join(tmpdir(), 'rungs-batches-')));
  const log = path.join(root, 'begun');
  const folder = path.join(root, 'migrations/v1.0.0_to_v1.1.0');
  for (const each of [path.join(root, 'data'), folder]) mkdirSync(each, { recursive: true });
  writeFileSync(path.join(root, 'VERSION'), '1.0.0\n');
  writeFileSync(
    path.join(root, 'upgrade.yaml'),
    `product: batched\nversion: { file: VERSION }\nmigrations: migrations\ndatabases:\n  app: ${database}\nbackup:\n  include: [data]\n`,
  );
  writeFileSync(
    path.join(folder, '001_count.ts'),
    `import { appendFileSync } from 'node:fs';
const through = (by) => async ({ batches, direction }) => {
  await batches({ database: 'app', table: 'rows', where: by > 0 ? 'true' : 'n > 0', columns: ['id'] }, ${size}, async (rows, { db, batch }) => {
    appendFileSync(${JSON.stringify(log)}, direction + ' ' + batch + '\\n');
    await db.run(${change});
  });
};
export const forward = through(1);
export const backward = through(-1);
`,
  );
  const begun = (): readonly string[] => (existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(0, -1) : []);
  const start = (
    args: readonly string[],
  ): {
    readonly ended: Promise<number | null>;
    readonly hasEnded: () => boolean;
    readonly said: () => string;
    readonly kill: () => void;
  } => {
    let over = false;
    let said = '';
    const child = spawn(process.execPath, [path.join(repository, 'bin/upgrade.mjs'), ...args, '-c', path.join(root, 'upgrade.yaml')], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    });
    for (const pipe of [child.stdout, child.stderr])
      pipe.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4_000)));
    const ended = new Promise<number | null>((settle) => {
      child.once('exit', (code) => {
        over = true;
        settle(code);
      });
    });
    return { ended, hasEnded: () => over, said: () => said, kill: () => void child.kill('SIGKILL') };
  };
  return {
    root,
    begun,
    begunAtLeast: async (count) => until(`${count} batches have begun`, () => begun().length >= count, 120_000),
    upgrade: async (code, ...args) => {
      const { ended, said } = start(args);
      const found = await ended;
      if (found !== code) throw new Error(`${args.join(' ')} ended with ${String(found)}: ${said()}`);
    },
    killed: async (whenBegun, ...args) => {
      const { ended, hasEnded, said, kill: killProgram } = start(args);
      let size = -1;
      let count = 0;
      while (!hasEnded() && count < whenBegun) {
        await sleep(1);
        const now = statSync(log, { throwIfNoEntry: false })?.size ?? 0;
        if (now !== size) count = begun().length;
        size = now;
      }
      if (hasEnded()) throw new Error(`it ended with ${String(await ended)} before batch ${whenBegun}, at ${count}: ${said()}`);
      // First: left alone it would see its step die, and roll back.
      killProgram();
      await until('all its processes are dead', () => {
        const left = processesIn(root);
        for (const pid of left) kill(pid);
        return left.length === 0;
      });
      await ended;
    },
    remove: () => {
      for (const pid of processesIn(root)) kill(pid);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** Kills the program that often, at random batches that leave room for the kills to come; gives where. */
export async function killAtRandom(batched: Batched, batches: number, kills: number): Promise<readonly number[]> {
  const at: number[] = [];
  while (at.length < kills) {
    const begun = batched.begun().length;
    const room = Math.floor((batches + at.length - begun) / (kills - at.length + 1));
    const next = begun + 1 + Math.floor(Math.random() * Math.max(1, room));
    await batched.killed(next, ...(at.length === 0 ? ['--yes'] : ['resume']));
    at.push(next);
  }
  return at;
}
