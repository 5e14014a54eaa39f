// Delivers what waits in the outbox. Promises that each message is tried by one process at a time, and that a kill at any point loses none: one that
// was sent and not recorded so is sent again under the same id.
import type { NotifyConfig } from '../model/config.ts';
import { failure, type Failure } from '../model/failure.ts';
import type { Outbox, OutboxEntry } from '../model/notification.ts';
import type { Clock } from '../model/ports.ts';
import { messageFor } from './message.ts';
import { post } from './post.ts';

export interface DeliverRequest {
  readonly outbox: Outbox;
  readonly targets: readonly NotifyConfig[];
  readonly clock: Clock;
  readonly scrub: (text: string) => string;
  /** As long as there is time, what fails is tried again when it is due. */
  readonly budgetMs: number;
  /** Also what is not due yet. */
  readonly isUrgent?: boolean;
  readonly signal?: AbortSignal;
}

export interface Delivery {
  readonly sent: number;
  /** When the next one is due; `null`: none waits. */
  readonly nextAt: string | null;
  /** Of what was tried now and still waits, or was given up. */
  readonly failures: readonly Failure[];
}

// A claim outlives a killed process for so long; an attempt takes less.
const claimMs = 30_000;
const pausesMs = [1_000, 3_000, 10_000, 30_000, 120_000, 600_000] as const;
const longestPauseMs = 3_600_000;
// About a day.
const mostAttempts = 30;

export async function deliver(request: DeliverRequest): Promise<Delivery> {
  const { outbox, clock, budgetMs, isUrgent = false, signal } = request;
  const startedAt = clock.monotonic();
  const failures = new Map<string, Failure>();
  let sent = 0;
  let urgent = new Set(isUrgent ? (await outbox.entries()).map(({ id }) => id) : []);
  for (;;) {
    const waiting = (await outbox.entries()).filter(({ nextAt }) => nextAt !== null);
    const now = Date.parse(clock.now());
    const due = waiting.filter(({ id, nextAt }) => urgent.has(id) || Date.parse(nextAt ?? '') <= now);
    urgent = new Set();
    const tried = await Promise.all(due.map((entry) => attempt(request, entry)));
    for (const [index, outcome] of tried.entries()) {
      const id = due[index]?.id ?? '';
      if (outcome === 'sent') sent += 1;
      if (outcome === 'sent') failures.delete(id);
      else if (outcome !== 'taken') failures.set(id, outcome);
    }
    if (due.length > 0) continue;
    const nextAt = waiting.map((entry) => entry.nextAt ?? '').toSorted()[0] ?? null;
    const waitMs = nextAt === null ? Infinity : Date.parse(nextAt) - now;
    const leftMs = budgetMs - (clock.monotonic() - startedAt);
    if (waitMs > leftMs || signal?.aborted === true) return { sent, nextAt, failures: [...failures.values()] };
    await clock.sleep(Math.max(10, waitMs), signal).catch(() => undefined);
  }
}

async function attempt({ outbox, targets, clock, scrub, signal }: DeliverRequest, entry: OutboxEntry): Promise<'sent' | 'taken' | Failure> {
  const at = Date.parse(clock.now());
  if (!(await outbox.claim(entry, iso(at + claimMs)))) return 'taken';
  const attempts = entry.attempts + 1;
  const target = targets.find(({ key }) => key === entry.target);
  const why =
    target === undefined
      ? 'upgrade.yaml does not name it any more'
      : await post({
          url: target.webhook,
          id: entry.id,
          message: messageFor(target, entry.notification),
          secret: target.secret,
          now: Math.floor(at / 1_000),
          ...(signal === undefined ? {} : { signal }),
        });
  const now = Date.parse(clock.now());
  if (why === null) {
    await outbox.settle(entry.id, { sentAt: iso(now), nextAt: null, failure: null });
    return 'sent';
  }
  const isOver = target === undefined || attempts >= mostAttempts;
  const name = target?.name ?? entry.target;
  const problem = failure('NOTIFY_FAILED', { name, run: entry.notification.runId, why: scrub(why), attempts, isOver });
  await outbox.settle(entry.id, {
    sentAt: null,
    nextAt: isOver ? null : iso(now + (pausesMs[attempts - 1] ?? longestPauseMs)),
    failure: problem,
  });
  return problem;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
