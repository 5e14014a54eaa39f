// What a boot goes by: the call's own words first, then the environment, then `boot:` in upgrade.yaml, then `timeouts:`. Promises that a value
// which makes no sense is an error, never a default.
import type { BootOnFailure, Config } from '../model/config.ts';
import { failure, UpgradeError, type Failure } from '../model/failure.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface BootWishes {
  readonly onFailure?: BootOnFailure;
  /** How long to wait for whoever holds the lock; 0: not at all. */
  readonly lockTimeoutMs?: number;
  /** Of everything: the waiting and the run. */
  readonly timeoutMs?: number;
}

export type BootSettings = Required<BootWishes>;

const yes = new Set(['', 'true', '1', 'yes', 'on']);
const no = new Set(['false', '0', 'no', 'off']);

/** `AUTO_MIGRATE`. Throws BOOT_ENVIRONMENT with everything of the environment that is wrong, so that it is told before anything else. */
export function isBootWanted(env: Environment): boolean {
  const text = (env.AUTO_MIGRATE ?? '').trim().toLowerCase();
  const problems: Failure[] = [];
  if (!yes.has(text) && !no.has(text)) problems.push(wrong('AUTO_MIGRATE', env, 'true or false'));
  for (const [name, least] of limits) if (milliseconds(name, env, least) === 'wrong') problems.push(wrong(name, env, whole(least)));
  if (problems.length > 0) throw new UpgradeError(problems);
  return yes.has(text);
}

/** Of an environment that `isBootWanted` has looked at. */
export function bootSettings({ boot, timeouts }: Pick<Config, 'boot' | 'timeouts'>, env: Environment, wishes: BootWishes): BootSettings {
  const given = (name: string, least: number): number | null => {
    const found = milliseconds(name, env, least);
    return found === 'wrong' ? null : found;
  };
  return {
    onFailure: wishes.onFailure ?? boot.onFailure,
    lockTimeoutMs: wishes.lockTimeoutMs ?? given('MIGRATION_LOCK_TIMEOUT_MS', 0) ?? boot.lockMs ?? timeouts.lockMs,
    timeoutMs: wishes.timeoutMs ?? given('MIGRATION_TIMEOUT_MS', 1) ?? boot.totalMs ?? timeouts.totalMs,
  };
}

const limits = [
  ['MIGRATION_TIMEOUT_MS', 1],
  ['MIGRATION_LOCK_TIMEOUT_MS', 0],
] as const;

/** `null`: not given. As in `${NAME:-default}`, a variable that is empty is one that is not set. */
function milliseconds(name: string, env: Environment, least: number): number | null | 'wrong' {
  const text = (env[name] ?? '').trim();
  if (text === '') return null;
  return /^\d{1,12}$/.test(text) && Number(text) >= least ? Number(text) : 'wrong';
}

function whole(least: number): string {
  return `a whole number of milliseconds${least === 0 ? '' : ' above 0'}, such as 30000`;
}

function wrong(name: string, env: Environment, wanted: string): Failure {
  return failure('BOOT_ENVIRONMENT', { name, given: env[name] ?? '', wanted });
}
