// `upgrade notify send|list|test`: who is told about ends of runs.
import { count, marks, moment } from '../../report/layout.ts';
import { table } from '../../report/table.ts';
import { exitCodes } from '../exit-codes.ts';
import { openManager } from '../manager.ts';
import { inkFor, present } from '../output.ts';
import type { CommonFlags } from '../flags.ts';
import type { Terminal } from '../terminal.ts';

const sendWithinMs = 30_000;

/** Exit 3 where somebody could not be told. */
export async function send(flags: CommonFlags, terminal: Terminal): Promise<number> {
  const manager = await openManager(flags, terminal);
  const { sent, nextAt, failures } = await manager.deliverMessages({
    budgetMs: 0,
    isUrgent: true,
    signal: AbortSignal.timeout(sendWithinMs),
  });
  present(flags, terminal, { sent, nextAt, failures }, () => [
    sent === 0 && failures.length === 0 ? 'Nothing waits to be sent.' : `${count(sent, 'message')} delivered.`,
    ...failures.map(({ message }) => `${marks.failed} ${message}`),
  ]);
  return failures.length === 0 ? exitCodes.done : exitCodes.refused;
}

export async function list(flags: CommonFlags, terminal: Terminal): Promise<number> {
  const manager = await openManager(flags, terminal);
  const entries = await manager.listMessages();
  const names = new Map(manager.config.notify.map(({ key, name }) => [key, name]));
  const ink = inkFor(flags, terminal);
  const shown = entries.map(({ id, target, notification, attempts, nextAt, sentAt, failure }) => ({
    id,
    target: names.get(target) ?? target,
    runId: notification.runId,
    outcome: notification.outcome,
    attempts,
    nextAt,
    sentAt,
    failure,
  }));
  present(flags, terminal, shown, () =>
    shown.length === 0
      ? ['Nobody was to be told anything yet.']
      : table(
          shown.map(({ target, runId, outcome, nextAt, sentAt, failure }) => ({
            mark: sentAt !== null ? ink.good(marks.done) : nextAt === null ? ink.bad(marks.failed) : ink.back(marks.going),
            cells: [
              target,
              `${outcome} ${runId}`,
              sentAt !== null ? moment(sentAt) : nextAt === null ? 'given up' : `again at ${moment(nextAt)}`,
              failure?.message ?? '',
            ],
          })),
          terminal.columns,
        ),
  );
  return exitCodes.done;
}

/** Exit 3 where somebody could not be told. */
export async function test(flags: CommonFlags, terminal: Terminal): Promise<number> {
  const manager = await openManager(flags, terminal);
  const tried = await manager.testMessages();
  const ink = inkFor(flags, terminal);
  present(flags, terminal, tried, () =>
    tried.length === 0
      ? ['upgrade.yaml names nobody under "notify".']
      : tried.map(({ name, problem }) =>
          problem === null ? `${ink.good(marks.done)} ${name}` : `${ink.bad(marks.failed)} ${name}: ${problem}`,
        ),
  );
  return tried.every(({ problem }) => problem === null) ? exitCodes.done : exitCodes.refused;
}
