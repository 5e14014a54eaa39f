// Starts a run in a process of its own, out of reach of whatever ends its caller: it lives on when its caller is restarted by it.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ulid } from 'ulid';
import type { Config } from '../model/config.ts';
import { fail, UpgradeError } from '../model/failure.ts';
import type { Clock } from '../model/ports.ts';
import { startApart, type Apart } from '../processes/start-apart.ts';
import { writeHandover, type HandoverPlace } from './handover.ts';
import { readJournal } from './journals.ts';
import { isNothingToDo, type PreparedPlan } from './planning.ts';

interface Opened {
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const pollMs = 20;
// Asking whether it still lives is a process of its own where it is a unit.
const lookEveryMs = 500;
// Reading what was handed over comes first; what may take long is the preflight of a big installation.
const takenWithinMs = 60_000;
const recordedWithinMs = 600_000;

/**
 * Resolves once the run is in the journal. Throws what keeps it from beginning, NOTHING_TO_START where there is nothing to do, and
 * DETACHED_RUN_DID_NOT_START with what the process said.
 */
export async function startDetached(config: Config, clock: Clock, opened: Opened, plan: PreparedPlan): Promise<{ readonly runId: string }> {
  if (isNothingToDo(plan)) throw fail('NOTHING_TO_START', { product: config.product, version: plan.to });
  const runId = ulid();
  const env = withoutOwnUnit(process.env);
  const handover = writeHandover(config, {
    runId,
    config: config.file,
    root: config.root,
    plan,
    env,
    configEnv: opened.env === undefined ? null : defined(opened.env),
    umask: process.umask(),
  });
  try {
    const apart = await startApart({
      argv: [process.execPath, executable(), '--handed-over', handover.file],
      name: `rungs-${runId}`,
      description: `Upgrade of ${config.product}${plan.from === plan.to ? '' : ` from ${plan.from} to ${plan.to}`}`,
      env,
      output: handover.output,
    });
    await untilRecorded({ config, clock, runId, handover, apart });
    return { runId };
  } finally {
    handover.remove();
  }
}

interface Started {
  readonly config: Config;
  readonly clock: Clock;
  readonly runId: string;
  readonly handover: HandoverPlace;
  readonly apart: Apart;
}

async function untilRecorded({ config, clock, runId, handover, apart }: Started): Promise<void> {
  const startedAt = clock.monotonic();
  let lookedAt = startedAt;
  for (;;) {
    // Asked before the journal: what it recorded before it ended is seen.
    const isTimeToLook = clock.monotonic() - lookedAt > (apart.unit === null ? 0 : lookEveryMs);
    if (isTimeToLook) lookedAt = clock.monotonic();
    const hasEnded = isTimeToLook && (await apart.hasEnded());
    if (await isRecorded(config, runId)) return;
    const problems = handover.answer();
    if (problems !== null) throw new UpgradeError(problems);
    if (hasEnded) throw fail('DETACHED_RUN_DID_NOT_START', { reason: lastWords(handover, apart) });
    if (clock.monotonic() - startedAt > (handover.isTaken() ? recordedWithinMs : takenWithinMs)) {
      await apart.end();
      throw fail('DETACHED_RUN_DID_NOT_START', { reason: 'it did not come so far in time, and was ended' });
    }
    await clock.sleep(pollMs);
  }
}

async function isRecorded(config: Config, runId: string): Promise<boolean> {
  const isThere = config.journal.kind === 'postgres' || existsSync(config.state);
  return isThere && readJournal(config, async (journal) => ((await journal?.run(runId)) ?? null) !== null);
}

function lastWords({ output }: HandoverPlace, { unit }: Apart): string {
  if (unit !== null) return `its unit has ended; see "journalctl ${unit.scope === 'user' ? '--user-unit' : '-u'} ${unit.name}"`;
  return readFileSync(output, 'utf8').trim().split('\n').slice(-5).join(' ') || 'it said nothing';
}

// What systemd tells a unit of itself, and is not true of anything else.
const ofTheUnit: ReadonlySet<string> = new Set([
  'CREDENTIALS_DIRECTORY',
  'INVOCATION_ID',
  'JOURNAL_STREAM',
  'LISTEN_FDNAMES',
  'LISTEN_FDS',
  'LISTEN_PID',
  'MAINPID',
  'MANAGERPID',
  'NOTIFY_SOCKET',
  'SYSTEMD_EXEC_PID',
  'WATCHDOG_PID',
  'WATCHDOG_USEC',
]);

function withoutOwnUnit(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(defined(env)).filter(([name]) => !ofTheUnit.has(name)));
}

function defined(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

/** The command line beside us: `dist/cli.js` in the bundle, `src/cli/main.ts` in the sources. */
function executable(): string {
  const here = import.meta.url;
  return fileURLToPath(here.endsWith('.ts') ? new URL('../cli/main.ts', here) : new URL('./cli.js', here));
}
