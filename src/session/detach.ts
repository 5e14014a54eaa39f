// Starts a run in a process of its own, in a session of its own: it lives on when its caller is restarted by it.
import { spawn } from 'node:child_process';
import { existsSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ulid } from 'ulid';
import type { Config } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import type { Clock } from '../model/ports.ts';
import { readJournal } from './journals.ts';
import type { PreparedPlan } from './planning.ts';

interface Opened {
  readonly root?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const pollMs = 20;
const appearWithinMs = 60_000;

/** Resolves once the run is in the journal. Throws DETACHED_RUN_DID_NOT_START with what the process said. */
export async function startDetached(config: Config, clock: Clock, opened: Opened, plan: PreparedPlan): Promise<{ readonly runId: string }> {
  const runId = ulid();
  const said = path.join(os.tmpdir(), `rungs-${runId}.log`);
  const output = openSync(said, 'wx', 0o600);
  const words = [
    '--config',
    config.file,
    '--root',
    config.root,
    '--from',
    plan.from ?? '',
    '--to',
    plan.to ?? '',
    '--plan-hash',
    plan.hash,
    '--run-id',
    runId,
    '--yes',
  ];
  if (plan.direction === 'down') words.push('--allow-downgrade');
  const child = spawn(process.execPath, [executable(), ...words], {
    cwd: opened.cwd ?? process.cwd(),
    env: { ...(opened.env ?? process.env) },
    detached: true,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  child.unref();
  const ended = new Promise<'ended'>((resolve) => child.once('exit', () => resolve('ended')).once('error', () => resolve('ended')));
  const deadline = clock.monotonic() + appearWithinMs;
  try {
    for (;;) {
      const how = await Promise.race([ended, clock.sleep(pollMs)]);
      if (await isRecorded(config, runId)) return { runId };
      if (how === 'ended' || clock.monotonic() > deadline) throw fail('DETACHED_RUN_DID_NOT_START', { reason: lastWords(said) });
    }
  } finally {
    rmSync(said, { force: true });
  }
}

async function isRecorded(config: Config, runId: string): Promise<boolean> {
  const isThere = config.journal.kind === 'postgres' || existsSync(config.state);
  return isThere && readJournal(config, async (journal) => ((await journal?.run(runId)) ?? null) !== null);
}

function lastWords(file: string): string {
  return readFileSync(file, 'utf8').trim().split('\n').slice(-5).join(' ') || 'it said nothing';
}

/** The command line beside us: `dist/cli.js` in the bundle, `src/cli/main.ts` in the sources. */
function executable(): string {
  const here = import.meta.url;
  return fileURLToPath(here.endsWith('.ts') ? new URL('../cli/main.ts', here) : new URL('./cli.js', here));
}
