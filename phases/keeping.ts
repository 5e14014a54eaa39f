// In place of a rollback, for ladders that keep what is done (`onFailure: keep`): the step that failed is taken back, the steps before it stay.
// Given the journal; promises that the failing step's own changes are undone (proven against a backup made just before it, where no marker
// row decides), and that services run again; or rejects with what could not be undone.
import { failure, failuresOf, UpgradeError, type Failure } from '../src/model/failure.ts';
import { climbsOf, stepsOf } from '../src/model/plan.ts';
import type { Ports, RunContext } from '../src/model/ports.ts';
import type { StepOrder, StepRecord } from '../src/model/run.ts';
import { servicesToRestart } from '../src/model/service-order.ts';
import { isDecidedByMarker, keepsWhatIsDone, ordersOf } from '../src/plan/orders.ts';
import { appliedPart } from '../src/plan/remaining.ts';
import { attemptsWithoutProgress } from './attempts.ts';
import { backupAnew } from './backup.ts';
import { copiesDir } from './discovery.ts';
import { restartServices } from './restart.ts';
import { revertSteps } from './reverting.ts';
import { isProven, mostAttempts, recordProof, restoreDifferences } from './rollback.ts';
import { rememberServices } from './stopping.ts';
import { runProbes } from './verify.ts';

type Needs = Pick<Ports, 'journal' | 'events' | 'steps' | 'backups' | 'services' | 'probes' | 'oldRecords' | 'clock'>;

// Which step the run's newest backup was made for.
const safeBefore = 'safe-before';

/** Before a step that no marker row decides: a backup of what is to be kept, so that exactly that step can be taken back. */
export async function keepSafe(
  ports: Pick<Ports, 'journal' | 'backups' | 'events' | 'services'>,
  run: RunContext,
  { step }: StepOrder,
): Promise<void> {
  if (!keepsWhatIsDone(run.plan) || isDecidedByMarker(step)) return;
  // Half of the step may be there already: only the backup from before it says how things were.
  if ((await isSafe(ports, run, step.id)) && (await hasBegun(ports, run, step.id))) return;
  await backupAnew(ports, run);
  await ports.journal.intend(run.id, safeBefore, step.id);
}

/** Whether the run's newest backup is the one that was made for this step. */
async function isSafe({ journal }: Pick<Ports, 'journal'>, run: RunContext, stepId: string): Promise<boolean> {
  return (await journal.effects(run.id)).some(({ key, intent }) => key === safeBefore && intent === stepId);
}

async function hasBegun({ journal }: Pick<Ports, 'journal'>, run: RunContext, stepId: string): Promise<boolean> {
  return (await journal.stepRecords(run.id)).some((record) => record.stepId === stepId && record.attempts > 0);
}

export async function keep(ports: Needs, run: RunContext, cause: Failure | null): Promise<void> {
  const record = await ports.journal.run(run.id);
  const attempts = record === null ? 0 : await attemptsWithoutProgress(ports, record);
  if (attempts > mostAttempts)
    throw new UpgradeError([failure('TOO_MANY_ATTEMPTS', { id: run.id, attempts: attempts - 1 }, { phase: 'rollback' })]);
  if (cause !== null) ports.events.emit({ type: 'rollback-started', failure: cause });
  await rememberServices(ports, run);
  const open = await unfinishedSteps(ports, run);
  if (open.size > 0 && !(await isProven(ports, run.id))) await takeBack(ports, run, open);
  await ports.steps.removeMarkers(run);
  const stays = appliedPart(run.plan, await ports.journal.stepRecords(run.id));
  for (const finding of await ports.oldRecords.write(climbsOf(stays))) ports.events.emit({ type: 'finding', finding });
  await recordProof(ports, run.id);
  await goOnRunning(ports, run);
}

/** Steps that neither are applied nor have left everything alone; one that turns out to be done is recorded so. */
async function unfinishedSteps({ journal, steps, events }: Needs, run: RunContext): Promise<ReadonlySet<string>> {
  const orders = new Map(ordersOf(run.plan, copiesDir(run), 'apply').map((order) => [order.step.id, order]));
  const open = new Set<string>();
  for (const { stepId, status } of await journal.stepRecords(run.id)) {
    const order = orders.get(stepId);
    if (order === undefined || !isOpen(status)) continue;
    if ((status === 'running' || status === 'in-doubt') && (await steps.examine(order, run)) === 'done') {
      await journal.settleSteps(run.id, [{ stepId, status: 'applied', durationMs: null }]);
      events.emit({ type: 'step-finished', step: stepId, action: 'apply', status: 'applied', durationMs: 0 });
    } else open.add(stepId);
  }
  return open;
}

function isOpen(status: StepRecord['status']): boolean {
  return status === 'running' || status === 'in-doubt' || status === 'failed' || status === 'reverting' || status === 'revert-failed';
}

async function takeBack(ports: Needs, run: RunContext, open: ReadonlySet<string>): Promise<void> {
  const reverted = await revertSteps(ports, run, open);
  const unproven = stepsOf(run.plan).filter((step) => open.has(step.id) && !isDecidedByMarker(step));
  if (unproven.length === 0) return;
  const effects = await ports.journal.effects(run.id);
  const safe = effects.find(({ key }) => key === safeBefore)?.intent;
  const beyond = unproven.filter(({ id }) => id !== safe);
  // Never a restore to before a step that is to stay.
  if (beyond.length > 0) throw new UpgradeError([failure('NO_BACKUP_TO_RESTORE', { run: run.id }, { phase: 'rollback' })]);
  await restoreDifferences(ports, run, reverted);
}

/** Services that the steps that stay ask for are restarted, and those that were stopped started. What is not well is told: nothing is taken back for it. */
async function goOnRunning(ports: Needs, run: RunContext): Promise<void> {
  const applied = new Set(
    (await ports.journal.stepRecords(run.id)).filter(({ status }) => status === 'applied').map(({ stepId }) => stepId),
  );
  const named = servicesToRestart(
    stepsOf(run.plan).filter(({ id }) => applied.has(id)),
    run.config,
  );
  const stopped = Object.values(run.config.services).filter(({ stopDuringUpgrade }) => stopDuringUpgrade);
  try {
    await restartServices(ports, run, new Set([...named, ...stopped.map(({ name }) => name)]), { key: 'put-back' });
  } catch (error) {
    for (const { code, message } of failuresOf(error)) ports.events.emit({ type: 'warning', message: `${code}: ${message}` });
  }
  for (const { name, status, detail } of await runProbes(ports, run)) {
    if (status === 'failed')
      ports.events.emit({ type: 'warning', message: `The probe "${name}" does not pass${detail === undefined ? '' : `: ${detail}`}.` });
  }
}
