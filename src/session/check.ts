// Everything that is wrong with the migrations and ladders, and what their SQL does to tables in use, for `upgrade check`.
import { readLadderSteps } from '../discover/ladder-steps.ts';
import { readTransitions } from '../discover/transitions.ts';
import type { Config } from '../model/config.ts';
import type { Failure } from '../model/failure.ts';
import type { Finding, Step } from '../model/plan.ts';
import { describeModules } from '../steps/describe.ts';
import { freshProblems } from './fresh-steps.ts';
import { asFailures, readLadder } from './ladders.ts';
import { sqlProblems } from './sql-problems.ts';
import { sqlWarnings } from './sql-warnings.ts';

export interface CheckReport {
  readonly problems: readonly Failure[];
  /** What is doubtful, but stands in the way of nothing. */
  readonly findings: readonly Finding[];
  readonly transitions: number;
  /** Of transitions. */
  readonly steps: number;
  readonly ladders: readonly { readonly name: string; readonly steps: number }[];
}

export async function checkMigrations(config: Config): Promise<CheckReport> {
  const { transitions, problems, findings } = await readTransitions(config, 'all', { describeModules });
  const ladders = await readLadders(config);
  const folders = [...transitions.map(({ dir, steps }) => ({ dir, steps, isGroup: false })), ...ladders.read];
  return {
    problems: [...problems, ...ladders.problems, ...sqlProblems(config, folders)],
    findings: [...findings, ...ladders.findings, ...(await sqlWarnings(config, folders))],
    transitions: transitions.length,
    steps: transitions.reduce((sum, { steps }) => sum + steps.length, 0),
    ladders: ladders.read.map(({ name, steps }) => ({ name, steps: steps.length })),
  };
}

interface ReadLadders {
  readonly read: readonly { readonly name: string; readonly dir: string; readonly steps: readonly Step[]; readonly isGroup: boolean }[];
  readonly problems: readonly Failure[];
  readonly findings: readonly Finding[];
}

async function readLadders(config: Config): Promise<ReadLadders> {
  const ladders = await Promise.all(
    Object.entries(config.ladders).map(async ([name, ladder]) => {
      const { files, problems } = readLadder(name, ladder);
      const read =
        files.length === 0
          ? { steps: [], problems: [], findings: [] }
          : await readLadderSteps({ name, ladder, config, dir: ladder.dir, files, describeModules });
      return {
        read: { name, dir: ladder.dir, steps: read.steps, isGroup: ladder.group },
        problems: [...asFailures(problems), ...read.problems, ...(await freshProblems(config, name, ladder))],
        findings: read.findings,
      };
    }),
  );
  return {
    read: ladders.map(({ read }) => read),
    problems: ladders.flatMap(({ problems }) => problems),
    findings: ladders.flatMap(({ findings }) => findings),
  };
}
