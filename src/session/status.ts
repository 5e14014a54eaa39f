// The status document: what is installed, what is pending, what is unfinished, how the services are. Reads names and the journal, and no step.
import { readTransitionGraph } from '../discover/transitions.ts';
import type { Config } from '../model/config.ts';
import { failure, failuresOf, UpgradeError, type Failure } from '../model/failure.ts';
import type { BackupRecord } from '../model/ports.ts';
import type { RunRecord } from '../model/run.ts';
import type { Version } from '../model/version.ts';
import { choosePath } from '../plan/choose-path.ts';
import type { ReadingPorts } from './adapters.ts';
import { indexImports } from './adopted-records.ts';
import { currentHolder } from './journal-target.ts';
import { readJournal } from './journals.ts';
import { ladderStatuses, type LadderStatus } from './ladders.ts';
import { openRestores } from './open-restores.ts';
import { phaseOf } from './lock-holder.ts';
import { serviceStatuses, type ServiceStatus } from './service-statuses.ts';

export interface StatusDocument {
  readonly product: string;
  readonly version: Version | null;
  /** The highest version that the migrations reach from here. */
  readonly latest: Version | null;
  /** Ids of the transitions that lead there. */
  readonly pending: readonly string[];
  readonly state: 'up-to-date' | 'pending' | 'unfinished' | 'error';
  readonly run: RunSummary | null;
  readonly lock: {
    readonly host: string | null;
    readonly pid: number | null;
    readonly since: string | null;
    readonly phase: string | null;
    /** Only where several hosts share a journal: when the holder was last heard of. */
    readonly heartbeatAt?: string | null;
  } | null;
  readonly lastRun: RunSummary | null;
  readonly backups: readonly BackupRecord[];
  readonly ladders: readonly LadderStatus[];
  readonly services: readonly ServiceStatus[];
  readonly problems: readonly Failure[];
}

export type RunSummary = Pick<
  RunRecord,
  'id' | 'from' | 'to' | 'direction' | 'phase' | 'course' | 'startedAt' | 'finishedAt' | 'outcome' | 'failure' | 'attempts'
>;

export async function statusDocument(config: Config, { installation }: Pick<ReadingPorts, 'installation'>): Promise<StatusDocument> {
  const services = serviceStatuses(config);
  const { runs, backups, steps, baselines, restores } = await readJournal(config, async (journal) => ({
    runs: (await journal?.runs(1)) ?? [],
    backups: (await journal?.backups()) ?? [],
    steps: (await journal?.ladderSteps()) ?? [],
    baselines: (await journal?.ladderBaselines()) ?? [],
    restores: journal === null ? [] : await openRestores(journal),
  }));
  const last = runs[0] ?? null;
  const open = last !== null && (last.outcome === null || last.outcome === 'stranded') ? last : null;
  const problems: Failure[] = [];
  let version: Version | null = null;
  let pending: { readonly to: Version; readonly ids: readonly string[] } | null = null;
  try {
    version = await installation.readVersion();
    const graph = await readTransitionGraph(config);
    if (graph.problems.length > 0) throw new UpgradeError(graph.problems);
    const path = version === null ? null : choosePath({ transitions: graph.transitions, installed: version });
    if (path?.kind === 'path') pending = path;
  } catch (error) {
    problems.push(...failuresOf(error));
  }
  // Indexes that no run has read yet: as it will be with the first one.
  const imported = indexImports(config, { steps, baselines }, new Date(0).toISOString());
  const { ladders, problems: ladderProblems } = ladderStatuses(config, [...steps, ...imported.flatMap((one) => one.steps)]);
  problems.push(...ladderProblems);
  const holder = await currentHolder(config);
  const interrupted = restores.map(({ intent }) => failure('RESTORE_UNFINISHED', intent));
  return {
    product: config.product,
    version,
    latest: pending?.to ?? version,
    pending: pending?.ids ?? [],
    state: stateOf(
      open,
      { problems, isRestoring: interrupted.length > 0 },
      (pending?.ids.length ?? 0) + ladders.reduce((sum, ladder) => sum + ladder.pending, 0),
    ),
    run: open === null ? null : summary(open),
    lock:
      holder === null
        ? null
        : {
            host: holder.host,
            pid: holder.pid,
            since: holder.since,
            phase: await phaseOf(config, holder),
            ...(holder.heartbeatAt === undefined ? {} : { heartbeatAt: holder.heartbeatAt }),
          },
    lastRun: last === null ? null : summary(last),
    backups,
    ladders,
    services: await services,
    problems: [...interrupted, ...problems],
  };
}

function stateOf(
  open: RunRecord | null,
  { problems, isRestoring }: { readonly problems: readonly Failure[]; readonly isRestoring: boolean },
  pending: number,
): StatusDocument['state'] {
  if (isRestoring) return 'unfinished';
  if (open?.outcome === 'stranded' || problems.length > 0) return 'error';
  if (open !== null) return 'unfinished';
  return pending > 0 ? 'pending' : 'up-to-date';
}

export function summary({
  id,
  from,
  to,
  direction,
  phase,
  course,
  startedAt,
  finishedAt,
  outcome,
  failure,
  attempts,
}: RunRecord): RunSummary {
  return { id, from, to, direction, phase, course, startedAt, finishedAt, outcome, failure, attempts };
}
