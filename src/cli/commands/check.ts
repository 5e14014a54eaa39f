// `upgrade check`: lints config, every transition and every ladder, listing all problems and warnings at once. For CI: exit 2 where there is a problem.
import { fail, failure, failuresOf, UpgradeError } from '../../model/failure.ts';
import { renderFailures } from '../../report/failures.ts';
import { renderFindings } from '../../report/findings.ts';
import { count, marks, type Ink } from '../../report/layout.ts';
import { renderSchemaDiff } from '../../report/schema-diff.ts';
import type { FreshLadder } from '../../session/check-fresh.ts';
import type { CheckReport } from '../../session/check.ts';
import { exitCodes } from '../exit-codes.ts';
import { openManager } from '../manager.ts';
import { inkFor, present } from '../output.ts';
import type { CommonFlags } from '../flags.ts';
import type { Terminal } from '../terminal.ts';

export interface CheckFlags extends CommonFlags {
  /** Warnings too are exit 2. */
  readonly strict?: boolean;
  readonly fresh?: boolean;
  readonly ladder?: string;
}

interface FullReport extends CheckReport {
  /** `null` where it was not asked for. */
  readonly fresh: readonly FreshLadder[] | null;
}

export async function check(flags: CheckFlags, terminal: Terminal): Promise<number> {
  if (flags.ladder !== undefined && flags.fresh !== true)
    throw fail('USAGE', { problem: '"--ladder" needs "--fresh": everything else is checked whole.', command: 'upgrade check' });
  const { problems, findings, transitions, steps, ladders, fresh } = await report(flags, terminal);
  const style = { ink: inkFor(flags, terminal), columns: terminal.columns };
  const tried = fresh === null ? {} : { fresh };
  const document = { problems, findings, transitions, steps, ...tried, failure: problems[0] ?? null, failures: problems };
  present(flags, terminal, document, () => {
    const listed = [
      ...(problems.length === 0 ? [] : [...renderFailures(problems, style), '']),
      ...(findings.length === 0 ? [] : [...renderFindings(findings, style), '']),
      ...(fresh ?? []).flatMap((one) => freshLines(one, style.ink)),
    ];
    const warnings = findings.length === 0 ? '' : `, ${count(findings.length, 'warning')}`;
    return problems.length === 0
      ? [...listed, `${checked(transitions, steps, ladders)}: no problems${warnings}.`]
      : [...listed, `${count(problems.length, 'problem')}${warnings}.`];
  });
  const isGood = problems.length === 0 && !(flags.strict === true && findings.some(({ level }) => level !== 'info'));
  return isGood ? exitCodes.done : exitCodes.usage;
}

function checked(transitions: number, steps: number, ladders: CheckReport['ladders']): string {
  const climbed = ladders.reduce((sum, ladder) => sum + ladder.steps, 0);
  const parts = [
    ...(transitions > 0 || ladders.length === 0 ? [`${count(transitions, 'transition')} with ${count(steps, 'step')}`] : []),
    ...(ladders.length > 0 ? [`${count(ladders.length, 'ladder')} with ${count(climbed, 'step')}`] : []),
  ];
  return parts.join(', ');
}

/** A config that cannot be used is what is wrong, not what keeps it from being told. */
async function report(flags: CheckFlags, terminal: Terminal): Promise<FullReport> {
  const found = async (): Promise<FullReport> => {
    const manager = await openManager(flags, terminal);
    const checked = await manager.check();
    if (flags.fresh !== true) return { ...checked, fresh: null };
    const fresh = await untilAsked(terminal, (signal) =>
      manager.checkFresh({ signal, ...(flags.ladder === undefined ? {} : { ladder: flags.ladder }) }),
    );
    const problems = fresh
      .flatMap((ladder) => ladder.problems)
      .filter(({ message }) => !checked.problems.some((one) => one.message === message));
    return {
      ...checked,
      problems: [...checked.problems, ...problems],
      findings: [...checked.findings, ...fresh.flatMap((ladder) => ladder.findings)],
      fresh,
    };
  };
  try {
    return await found();
  } catch (error) {
    if (!(error instanceof UpgradeError)) throw error;
    return { problems: failuresOf(error), findings: [], transitions: 0, steps: 0, ladders: [], fresh: null };
  }
}

function freshLines({ name, fresh, height, steps, status, comparison }: FreshLadder, ink: Ink): readonly string[] {
  if (comparison === null || status === 'failed') return [];
  const head =
    status === 'same'
      ? `${ink.good(marks.done)} Ladder ${name}: ${fresh} (${count(steps.fresh, 'step')}) and ${count(steps.ladder, 'step')} up to ${height} lead to the same schema.`
      : `Ladder ${name} at ${height}, ${fresh} and ${count(steps.ladder, 'step')}:`;
  return [head, ...renderSchemaDiff(comparison, ink).map((line) => `  ${line}`), ''];
}

/** Scratch databases are dropped whatever happens, so a signal waits for that. */
async function untilAsked<T>(terminal: Terminal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stop = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted) return;
    terminal.err(`\n${signal}: stopping, and dropping the scratch databases.\n`);
    controller.abort(new UpgradeError([failure('CANCELLED', { signal })]));
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}
