// `upgrade adopt`: takes over what another tool recorded of ladders. Exit 2 where a record cannot be used, 3 where a ladder was adopted before.
import { renderAdoption } from '../../report/adoption.ts';
import { blockingProblems } from '../../session/adopt.ts';
import { exitCodeOfFailures } from '../exit-codes.ts';
import type { CommonFlags } from '../flags.ts';
import { openManager } from '../manager.ts';
import { inkFor, present } from '../output.ts';
import type { Terminal } from '../terminal.ts';

export interface AdoptFlags extends CommonFlags {
  readonly ladder?: string;
  readonly dryRun?: boolean;
}

/**
 * The document is
 * `{ dryRun, ladders: [{ name, status, source: null | { kind: "index", file } | { kind: "sqlite", file, database, tables }, height,
 * steps: [{ number, name, appliedAt, sha256 }], gaps, duplicates, missing, changed, problems: [{ level, code, message, hint, place }] }], failure, failures }`.
 * `status` is `adopted` (with `dryRun`: would be), `already-adopted`, `nothing-recorded` or `blocked`; gaps, duplicates, missing and changed are numbers
 * of steps. `failures` are the problems that kept ladders from being adopted; where there is one, nothing was recorded of any ladder.
 */
export async function adopt(flags: AdoptFlags, terminal: Terminal): Promise<number> {
  const manager = await openManager(flags, terminal);
  const report = await manager.adopt({ dryRun: flags.dryRun === true, ...(flags.ladder === undefined ? {} : { ladder: flags.ladder }) });
  const failures = blockingProblems(report);
  present(flags, terminal, { ...report, failure: failures[0] ?? null, failures }, () =>
    renderAdoption({ ...report, failures }, { ink: inkFor(flags, terminal), columns: terminal.columns }),
  );
  return failures.length === 0 ? 0 : exitCodeOfFailures(failures);
}
