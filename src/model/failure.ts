// Failures are data. One registry gives each code its message and hint; `fail` makes the error that carries them.
import { backupFailures } from './failures/backup.ts';
import { cliFailures } from './failures/cli.ts';
import { configFailures } from './failures/config.ts';
import { dockerFailures } from './failures/docker.ts';
import { ladderFailures } from './failures/ladders.ts';
import { migrationFailures } from './failures/migrations.ts';
import { postgresFailures } from './failures/postgres.ts';
import { planFailures } from './failures/plan.ts';
import { runFailures } from './failures/run.ts';
import { serveFailures } from './failures/serve.ts';
import { serviceFailures } from './failures/services.ts';
import { systemdFailures } from './failures/systemd.ts';
import { stepFailures } from './failures/steps.ts';

/** Where a problem lies. Lines and columns count from 1. */
export interface Place {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
}

export interface Failure {
  readonly code: FailureCode;
  /** What is wrong, naming the file, version, step or service. */
  readonly message: string;
  /** What to do next. */
  readonly hint: string;
  readonly place?: Place;
  readonly phase?: string;
  readonly step?: string;
  /** The last lines of the output of what failed. */
  readonly log?: readonly string[];
}

export const failures = {
  ...cliFailures,
  ...configFailures,
  ...migrationFailures,
  ...ladderFailures,
  ...planFailures,
  ...postgresFailures,
  ...runFailures,
  ...stepFailures,
  ...backupFailures,
  ...serviceFailures,
  ...systemdFailures,
  ...dockerFailures,
  ...serveFailures,
};

export type FailureCode = keyof typeof failures;
/** What a code's message is made of; `{}` for one that needs nothing. */
export type FailureDetails<C extends FailureCode> =
  Parameters<(typeof failures)[C]> extends [] ? Readonly<Record<string, never>> : Parameters<(typeof failures)[C]>[0];

/** What every entry of the registry looks like. */
export type FailureRegistry = Readonly<Record<string, (details: never) => { readonly message: string; readonly hint: string }>>;

/** Carries one problem or several: whoever catches it prints them all. */
export class UpgradeError extends Error {
  readonly failures: readonly Failure[];
  constructor(problems: readonly Failure[], options?: ErrorOptions) {
    super(problems.map(({ code, message }) => `${code}: ${message}`).join('\n'), options);
    this.name = 'UpgradeError';
    this.failures = problems;
  }
}

type Extra = Partial<Pick<Failure, 'place' | 'phase' | 'step' | 'log'>>;

/** The failure as data. */
export function failure<C extends FailureCode>(code: C, details: FailureDetails<C>, extra: Extra = {}): Failure {
  const describe = failures[code] as (details: FailureDetails<C>) => { message: string; hint: string };
  return { code, ...describe(details), ...extra };
}

/** The failure as an error to throw. */
export function fail<C extends FailureCode>(code: C, details: FailureDetails<C>, extra: Extra = {}, cause?: unknown): UpgradeError {
  return new UpgradeError([failure(code, details, extra)], cause === undefined ? {} : { cause });
}

/** Anything thrown, as failures: our own keep what they say, everything else is a bug of ours. */
export function failuresOf(error: unknown): readonly Failure[] {
  if (error instanceof UpgradeError) return error.failures;
  return [failure('INTERNAL', { error: messageOf(error) })];
}

/** The text of anything that can be thrown, also of what is not an Error. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message === '' ? error.name : error.message;
  if (typeof error === 'string') return error;
  try {
    return JSON.stringify(error) ?? String(error);
  } catch {
    return Object.prototype.toString.call(error);
  }
}
