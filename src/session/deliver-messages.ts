// Tells those who are to be told about ends of runs, out of the journal. Needs no lock.
import { randomUUID } from 'node:crypto';
import os from 'node:os';
import { deliver, type Delivery } from '../notify/deliver.ts';
import type { Config } from '../model/config.ts';
import type { Notification, Outbox, OutboxEntry } from '../model/notification.ts';
import type { Clock } from '../model/ports.ts';
import { createScrubber } from '../report/scrub.ts';
import { journalTarget } from './journal-target.ts';
import { readJournal } from './journals.ts';

export interface DeliverOptions {
  readonly budgetMs: number;
  readonly isUrgent?: boolean;
  readonly signal?: AbortSignal;
}

/** Sends what is due, and what comes due while there is time. Opens nothing where nothing waits. */
export async function deliverMessages(config: Config, clock: Clock, options: DeliverOptions): Promise<Delivery> {
  const waiting = (await listMessages(config)).filter(({ nextAt }) => nextAt !== null);
  const outbox = waiting.length === 0 ? null : await openOutbox(config);
  if (outbox === null) return { sent: 0, nextAt: null, failures: [] };
  try {
    return await deliver({ outbox, targets: config.notify, clock, scrub: createScrubber(config.secrets), ...options });
  } finally {
    await outbox.close();
  }
}

export interface TriedTarget {
  readonly name: string;
  /** `null`: it was taken. */
  readonly problem: string | null;
}

/** A message of no run, sent once and recorded nowhere. */
export async function testMessages(config: Config, clock: Clock): Promise<readonly TriedTarget[]> {
  const [{ messageFor }, { post }] = await Promise.all([import('../notify/message.ts'), import('../notify/post.ts')]);
  const scrub = createScrubber(config.secrets);
  return Promise.all(
    config.notify.map(async (target) => {
      const id = `msg_test_${randomUUID()}`;
      const notification: Notification = {
        id,
        product: config.product,
        runId: 'test',
        outcome: 'nothing-to-do',
        from: null,
        to: null,
        version: null,
        host: os.hostname(),
        finishedAt: clock.now(),
        durationMs: 0,
        failure: null,
        next: 'nothing: this is a test',
      };
      const now = Math.floor(Date.parse(clock.now()) / 1_000);
      const problem = await post({ url: target.webhook, id, message: messageFor(target, notification), secret: target.secret, now });
      return { name: target.name, problem: problem === null ? null : scrub(problem) };
    }),
  );
}

/** The newest first. */
export async function listMessages(config: Config): Promise<readonly OutboxEntry[]> {
  return readJournal(config, async (journal) => (await journal?.outbox()) ?? []);
}

async function openOutbox(config: Config): Promise<Outbox | null> {
  const target = journalTarget(config);
  if (target === null) return (await import('../journal/sqlite-outbox.ts')).openSqliteOutbox(config.state);
  return (await import('../journal/postgres-outbox.ts')).openPostgresOutbox(target, target.installation);
}
