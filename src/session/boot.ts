// Brings an installation up to date before its service starts: as one of several hosts, or alone. Promises that nothing is run without the
// lock; that whoever waited for it looks again first, and starts without running anything where all is done; that an unfinished run is
// finished before a new one begins, and a stranded one is never touched.
import { ulid } from 'ulid';
import type { Config } from '../model/config.ts';
import type { UpgradeEvent } from '../model/event.ts';
import { fail, UpgradeError } from '../model/failure.ts';
import type { ResultDocument } from '../model/run.ts';
import type { ReadingPorts } from './adapters.ts';
import { prepareBootPlan } from './boot-plan.ts';
import type { BootNote } from './boot-notes.ts';
import type { BootSettings } from './boot-settings.ts';
import { newRun, openRun, resumedRun, type RunEntry } from './entry.ts';
import { currentHolder } from './journal-target.ts';
import { readJournal } from './journals.ts';
import { blocking, isNothingToDo, type PreparedPlan } from './planning.ts';
import { createResultBuilder } from './result.ts';
import { runSession } from './run-session.ts';
import { takeLock, type HeldLock } from './take-lock.ts';
import { withTotalTimeout } from './total-timeout.ts';
import { tellingOfSilence, waitForDatabases, waitForJournal } from './wait-for-servers.ts';

export interface BootRequest {
  readonly config: Config;
  readonly adapters: ReadingPorts;
  readonly settings: BootSettings;
  readonly signal?: AbortSignal;
  readonly onEvent: (event: UpgradeEvent) => void;
  readonly onNote: (note: BootNote) => void;
}

// How often somebody who reads the log is told that it still waits.
const tellEveryMs = 10_000;

/**
 * Never throws for a run that failed: see the result's outcome. Throws what keeps it from beginning: LOCK_HELD after the time allowed,
 * RUN_STRANDED, RUN_TIMED_OUT and CANCELLED while it waits, POSTGRES_UNREACHABLE, what is wrong with the migrations; and like every run, where
 * the journal cannot be written any more.
 */
export async function boot(request: BootRequest): Promise<ResultDocument> {
  const { config, adapters, settings, signal } = request;
  const startedAt = adapters.clock.monotonic();
  return withTotalTimeout(settings.timeoutMs, signal, async (limited) => {
    const waiting = { ...request, signal: limited };
    let last: ResultDocument | null = null;
    for (;;) {
      // Most boots have nothing to do: they take no lock, write nothing, and wait for nobody.
      const seen = await lookPatiently(waiting);
      if (seen.kind === 'settled') return last?.outcome === 'committed' ? last : nothingToDo(config, seen.plan, startedAt, adapters);
      // Whatever would be refused is not worth waiting for, if it is not the doing of somebody who is at work.
      if (seen.kind === 'refused' && (await currentHolder(config)) === null) {
        const again = await look(config, adapters);
        if (again.kind === 'refused') return work(waiting, newRun(config, adapters, again.plan, ulid(), true));
      }
      await waitForDatabases(config, waiting);
      const lock = await waitForLock(waiting);
      try {
        // Another host may have done it meanwhile, or have left it half done.
        const now = await look(config, adapters);
        if (now.kind === 'unfinished') {
          request.onNote({ type: 'resuming', runId: now.runId });
          last = await work(waiting, await resumedRun(config, 'as-recorded', { isUnattended: true }), lock);
          if (last.outcome === 'stranded' || limited.aborted) return last;
        } else if (now.kind !== 'settled') {
          return await work(waiting, newRun(config, adapters, now.plan, ulid(), true), lock);
        }
      } finally {
        await lock.release();
      }
    }
  });
}

type Look =
  | { readonly kind: 'settled' | 'pending' | 'refused'; readonly plan: PreparedPlan }
  | { readonly kind: 'unfinished'; readonly runId: string };

/** What there is to do. Throws RUN_STRANDED, and what is wrong with the migrations. */
async function look(config: Config, adapters: ReadingPorts): Promise<Look> {
  const open = await readJournal(config, async (journal) => (journal === null ? null : openRun(journal)));
  if (open?.outcome === 'stranded') throw fail('RUN_STRANDED', { id: open.id }, { phase: 'preflight' });
  if (open !== null) return { kind: 'unfinished', runId: open.id };
  const plan = await prepareBootPlan(config, adapters);
  if (blocking(plan.findings).length > 0) return { kind: 'refused', plan };
  return { kind: isNothingToDo(plan) ? 'settled' : 'pending', plan };
}

/** A journal whose server does not answer yet is waited for; one that does is not asked twice. */
async function lookPatiently(request: BootRequest & { readonly signal: AbortSignal }): Promise<Look> {
  const { config, adapters } = request;
  try {
    return await tellingOfSilence(config, request, async () => look(config, adapters));
  } catch (error) {
    if (!(error instanceof UpgradeError) || error.failures.every(({ code }) => code !== 'POSTGRES_UNREACHABLE')) throw error;
    await waitForJournal(config, request);
    return tellingOfSilence(config, request, async () => look(config, adapters));
  }
}

async function work(
  { config, adapters, onEvent, signal }: BootRequest & { readonly signal: AbortSignal },
  entry: RunEntry,
  lock?: HeldLock,
): Promise<ResultDocument> {
  return runSession({ ...entry, config, adapters, signal, listeners: [onEvent], ...(lock === undefined ? {} : { lock }) });
}

/** Waits in turns, and tells before each who holds it. Throws LOCK_HELD when the time is over. */
async function waitForLock({
  config,
  adapters: { clock },
  settings,
  signal,
  onNote,
}: BootRequest & { readonly signal: AbortSignal }): Promise<HeldLock> {
  const startedAt = clock.monotonic();
  for (let waitMs = 0; ; waitMs = tellEveryMs) {
    const leftMs = settings.lockTimeoutMs - (clock.monotonic() - startedAt);
    try {
      return await takeLock(config, clock, { waitMs: Math.min(waitMs, Math.max(leftMs, 0)), signal });
    } catch (error) {
      const [held] = error instanceof UpgradeError ? error.failures : [];
      if (held?.code !== 'LOCK_HELD' || clock.monotonic() - startedAt >= settings.lockTimeoutMs) throw error;
      onNote({ type: 'waiting', waitedMs: Math.round(clock.monotonic() - startedAt), limitMs: settings.lockTimeoutMs, held });
    }
  }
}

function nothingToDo(config: Config, plan: PreparedPlan, startedAt: number, { clock }: ReadingPorts): ResultDocument {
  const { product } = config;
  const durationMs = clock.monotonic() - startedAt;
  return createResultBuilder().document({
    outcome: 'nothing-to-do',
    runId: null,
    product,
    plan,
    version: plan.to,
    durationMs,
    failures: [],
    steps: [],
  });
}
