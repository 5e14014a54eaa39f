// An installation to try steps on: a private folder for its root, empty databases in place of the real ones, no services. Promises that nothing of it
// is left afterwards, and that what steps find in their environment does not lead them to the real databases.
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { copyTransitions } from '../discover/private-copies.ts';
import type { Config, DatabaseConfig } from '../model/config.ts';
import { UpgradeError, type Failure } from '../model/failure.ts';
import { stepsOf, type Plan, type Transition } from '../model/plan.ts';
import type { RunContext } from '../model/ports.ts';
import { atOrigin, ordersOf } from '../plan/orders.ts';
import { createScrubber } from '../report/scrub.ts';
import { createStepExecutor } from '../steps/executor.ts';
import { systemClock } from '../system-clock.ts';

export interface ScratchInstallation {
  /** Scratch databases under the names of the real ones; those that no step names and that would have to be made on a server are left out. */
  readonly databases: Config['databases'];
  /** Runs the steps forwards as a run would, one after the other. Throws the failure of the one that fails, with its place. */
  readonly run: (transitions: readonly Transition[]) => Promise<void>;
}

interface Request {
  /** Databases of servers that have to be there. */
  readonly needed: readonly string[];
  readonly signal: AbortSignal;
}

export async function inScratchInstallation<T>(
  config: Config,
  { needed, signal }: Request,
  work: (scratch: ScratchInstallation) => Promise<T>,
): Promise<T> {
  const dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'rungs-check-')));
  const dropping: (() => Promise<void>)[] = [];
  try {
    const root = path.join(dir, 'root');
    mkdirSync(root);
    // What steps import from packages, they import from those of the installation.
    for (const name of ['node_modules', 'package.json'])
      if (existsSync(path.join(config.root, name))) symlinkSync(path.join(config.root, name), path.join(dir, name));
    const databases: Record<string, DatabaseConfig> = {};
    for (const [name, database] of Object.entries(config.databases)) {
      if (database.kind === 'sqlite') databases[name] = { ...database, file: emptyFile(root, placeOf(config, name, database.file)) };
      else if (needed.includes(name)) {
        const { makeScratchDatabase } = await import('../databases/postgres/scratch.ts');
        const made = await makeScratchDatabase(database, name, signal);
        dropping.push(made.drop);
        databases[name] = { ...database, url: made.target.url };
      }
    }
    const scratch: Config = {
      ...config,
      root,
      state: path.join(dir, 'state'),
      databases,
      services: {},
      verify: [],
      secrets: secretsOf(config, databases),
    };
    return await withEnvironment(redirected(config, databases), () =>
      work({ databases, run: (transitions) => runSteps(scratch, path.join(dir, 'run'), transitions, signal) }),
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
    await Promise.all(dropping.map((drop) => drop()));
  }
}

async function runSteps(config: Config, dir: string, transitions: readonly Transition[], signal: AbortSignal): Promise<void> {
  const plan: Plan = { product: config.product, from: null, to: null, direction: 'up', transitions, hash: '' };
  if (stepsOf(plan).length === 0) return;
  const copies = path.join(dir, 'steps');
  mkdirSync(copies, { recursive: true });
  const changed = copyTransitions(plan, copies);
  if (changed.length > 0) throw new UpgradeError(changed);
  const { ulid } = await import('ulid');
  const run: RunContext = { id: ulid(), plan, config, signal, dir };
  const scrub = createScrubber(config.secrets);
  const executor = createStepExecutor({
    config,
    lockFd: null,
    events: { emit: () => undefined },
    scrub,
    clock: systemClock,
    graceMs: 1_000,
  });
  let failed: Failure | undefined;
  try {
    const outcomes = await executor.execute(ordersOf(plan, copies, 'apply'), run);
    failed = outcomes.find(({ status }) => status === 'failed')?.failure;
  } finally {
    await executor.close();
  }
  signal.throwIfAborted();
  if (failed !== undefined) throw new UpgradeError([atOrigin(plan, copies, failed)]);
}

/** Where it lies in the installation, so that scripts find it where they look for it. */
function placeOf({ root }: Config, name: string, file: string): string {
  const relative = path.relative(root, file);
  return relative.startsWith('..') || path.isAbsolute(relative) ? `databases/${name}.db` : relative;
}

function emptyFile(root: string, relative: string): string {
  const file = path.join(root, relative);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, '', { mode: 0o600 });
  return file;
}

function secretsOf({ secrets }: Config, databases: Config['databases']): readonly string[] {
  return [
    ...secrets,
    ...Object.values(databases).flatMap((database) => (database.kind === 'postgres' && secrets.length > 0 ? [database.url] : [])),
  ];
}

/** Variables that name a real database name the scratch one instead, or nothing. */
function redirected({ root, databases: real }: Config, scratch: Config['databases']): ReadonlyMap<string, string | undefined> {
  const found = new Map<string, string | undefined>();
  for (const [name, database] of Object.entries(real)) {
    const instead = scratch[name];
    for (const [variable, value] of Object.entries(process.env)) {
      if (value === undefined || value === '') continue;
      const isMeant = database.kind === 'postgres' ? value.trim() === database.url : path.resolve(root, value) === database.file;
      const isName = database.kind === 'postgres' && variable === 'PGDATABASE' && value === nameIn(database.url);
      if (isName) found.set(variable, instead?.kind === 'postgres' ? nameIn(instead.url) : undefined);
      if (isMeant) found.set(variable, instead === undefined ? undefined : instead.kind === 'postgres' ? instead.url : instead.file);
    }
  }
  return found;
}

function nameIn(url: string): string {
  return URL.canParse(url) ? decodeURIComponent(new URL(url).pathname.slice(1)) : '';
}

/** Steps inherit the environment of this process. */
async function withEnvironment<T>(changes: ReadonlyMap<string, string | undefined>, work: () => Promise<T>): Promise<T> {
  const before = [...changes.keys()].map((name) => [name, process.env[name]] as const);
  const set = (name: string, value: string | undefined): void => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  for (const [name, value] of changes) set(name, value);
  try {
    return await work();
  } finally {
    for (const [name, value] of before) set(name, value);
  }
}
