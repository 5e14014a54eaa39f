// Everything that is wrong with the migrations and ladders, for `upgrade check`.
import { readTransitions } from '../discover/transitions.ts';
import type { Config } from '../model/config.ts';
import type { Failure } from '../model/failure.ts';
import { describeModules } from '../steps/describe.ts';
import { ladderProblems } from './ladders.ts';

export interface CheckReport {
  readonly problems: readonly Failure[];
  readonly transitions: number;
  readonly steps: number;
}

export async function checkMigrations(config: Config): Promise<CheckReport> {
  const { transitions, problems } = await readTransitions(config, 'all', { describeModules });
  return {
    problems: [...problems, ...ladderProblems(config)],
    transitions: transitions.length,
    steps: transitions.reduce((sum, { steps }) => sum + steps.length, 0),
  };
}
