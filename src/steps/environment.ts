// What every step's process finds in its environment; the run's id and the step's are also the mark by which its processes are found again.
import type { Config } from '../model/config.ts';
import type { RunContext } from '../model/ports.ts';
import type { StepOrder } from '../model/run.ts';

export function runEnvironment(config: Config, run: RunContext): Readonly<Record<string, string>> {
  const databases = Object.entries(config.databases).map(([name, database]) => [
    `UPGRADE_DB_${name.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`,
    database.kind === 'sqlite' ? database.file : database.url,
  ]);
  return { UPGRADE_ROOT: config.root, UPGRADE_RUN_ID: run.id, ...Object.fromEntries(databases) };
}

export function stepEnvironment(config: Config, run: RunContext, order: StepOrder): Readonly<Record<string, string>> {
  return {
    ...runEnvironment(config, run),
    UPGRADE_FROM: order.from ?? '',
    UPGRADE_TO: order.to ?? '',
    UPGRADE_DIRECTION: order.direction,
    UPGRADE_STEP: order.step.id,
  };
}
