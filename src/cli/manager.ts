// Opens the installation that the flags name.
import { UpdateManager } from '../update-manager.ts';
import type { CommonFlags, RunFlags } from './program.ts';
import type { Terminal } from './terminal.ts';

export type PlanFlags = Pick<RunFlags, 'from' | 'to' | 'allowDowngrade'>;

export function openManager({ config, root }: CommonFlags, { cwd, env }: Pick<Terminal, 'cwd' | 'env'>): Promise<UpdateManager> {
  return UpdateManager.open({ cwd, env, ...(config === undefined ? {} : { config }), ...(root === undefined ? {} : { root }) });
}
