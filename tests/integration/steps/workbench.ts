// A real installation in a temporary folder, with step files written by the test, and an executor over it.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config, DatabaseConfig } from '../../../src/model/config.ts';
import type { EventBody } from '../../../src/model/event.ts';
import type { Step, StepKind } from '../../../src/model/plan.ts';
import type { RunContext, StepExecutor } from '../../../src/model/ports.ts';
import type { StepOrder, StepOutcome } from '../../../src/model/run.ts';
import { parseVersion } from '../../../src/model/version.ts';
import { createStepExecutor } from '../../../src/steps/executor.ts';

export interface Workbench {
  readonly root: string;
  readonly config: Config;
  readonly run: RunContext;
  readonly executor: StepExecutor;
  readonly events: EventBody[];
  readonly abort: () => void;
  /** Writes the step file and gives the order to apply it. */
  readonly step: (file: string, text: string, over?: Partial<Step>) => StepOrder;
  readonly query: (sql: string, database?: string) => readonly Record<string, unknown>[];
  readonly read: (path: string) => string;
  readonly put: (path: string, content: string) => void;
  readonly logOf: (order: StepOrder) => string;
  readonly dispose: () => Promise<void>;
}

export const transition = 'v0.1.0_to_v0.2.0';

export function workbench(
  over: {
    readonly databases?: Readonly<Record<string, DatabaseConfig>>;
    readonly secrets?: readonly string[];
    readonly graceMs?: number;
    readonly stepMs?: number;
    readonly lockFd?: number;
    readonly root?: string;
  } = {},
): Workbench {
  const root = over.root ?? realpathSync(mkdtempSync(join(tmpdir(), 'rungs-steps-')));
  const state = join(root, '.upgrade');
  mkdirSync(join(root, 'data'), { recursive: true });
  const dir = join(state, 'runs', 'RUN1', 'steps', transition);
  mkdirSync(dir, { recursive: true });
  const config: Config = {
    file: join(root, 'upgrade.yaml'),
    product: 'test',
    root,
    version: { kind: 'file', file: join(root, 'VERSION') },
    migrations: join(root, 'migrations'),
    ladders: {},
    state,
    journal: { kind: 'sqlite' },
    databases: over.databases ?? { app: { kind: 'sqlite', file: join(root, 'data/app.db') } },
    backup: {
      dir: join(state, 'backups'),
      include: null,
      exclude: [],
      onDrift: 'report',
      keep: 3,
      keepDays: null,
      restoreTest: false,
      commands: {},
      afterBackup: null,
      recipients: [],
    },
    services: {},
    parallelRestarts: 32,
    soakMs: 0,
    verify: [],
    timeouts: { stepMs: over.stepMs ?? 60_000, lockMs: 2_000, totalMs: 600_000 },
    boot: { onFailure: 'stop', lockMs: null, totalMs: null },
    notify: [],
    metrics: { textfile: null },
    secrets: over.secrets ?? [],
  };
  const controller = new AbortController();
  const version = parseVersion('0.1.0');
  const run: RunContext = {
    id: 'RUN1',
    config,
    signal: controller.signal,
    dir: join(state, 'runs', 'RUN1'),
    plan: { product: 'test', from: version, to: parseVersion('0.2.0'), direction: 'up', transitions: [], hash: 'sha256:0' },
  };
  const events: EventBody[] = [];
  const executor = createStepExecutor({
    config,
    lockFd: over.lockFd ?? null,
    graceMs: over.graceMs ?? 300,
    events: { emit: (event) => void events.push(event) },
    scrub: (text) => (over.secrets ?? []).reduce((clean, secret) => clean.replaceAll(secret, '[secret]'), text),
    clock: {
      now: () => new Date().toISOString(),
      monotonic: () => performance.now(),
      sleep: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
    },
  });
  return {
    root,
    config,
    run,
    executor,
    events,
    abort: () => controller.abort(),
    step: (file, text, changes = {}) => {
      writeFileSync(join(dir, file), text);
      return {
        step: stepOf(file, changes),
        action: 'apply',
        direction: 'forward',
        dir,
        from: version,
        to: parseVersion('0.2.0'),
        isGrouped: false,
      };
    },
    query: (sql, database = 'app') => {
      const found = config.databases[database];
      if (found?.kind !== 'sqlite') throw new Error(`no SQLite database ${database}`);
      const db = new DatabaseSync(found.file);
      try {
        return db
          .prepare(sql)
          .all()
          .map((row) => ({ ...row }));
      } finally {
        db.close();
      }
    },
    read: (path) => readFileSync(join(root, path), 'utf8'),
    put: (path, content) => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content);
    },
    logOf: ({ action, step }) => readFileSync(join(run.dir, 'logs', transition, `${step.forwardFile}.${action}.log`), 'utf8'),
    dispose: async () => {
      await executor.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function stepOf(file: string, changes: Partial<Step>): Step {
  const [, digits = '0', name = ''] = /^(\d+)_(.*?)\.[a-z.]+$/.exec(file) ?? [];
  const extension = file.split('.').at(-1) ?? '';
  const kind: StepKind =
    extension === 'mjs' ? 'js' : extension === 'sql' || extension === 'sh' || extension === 'py' || extension === 'js' ? extension : 'ts';
  return {
    id: `${transition}/${digits}_${name}`,
    number: Number(digits),
    name,
    kind,
    forwardFile: file,
    backwardFile: null,
    sha256: '0',
    hasBackward: true,
    isDatabaseOnly: false,
    isReversible: true,
    description: name,
    requiresRestart: [],
    breaking: false,
    estimatedDurationMs: null,
    timeoutMs: null,
    idempotent: false,
    database: null,
    transaction: true,
    hasCheck: false,
    backup: [],
    memoryBytes: null,
    lockTimeoutMs: null,
    statementTimeoutMs: null,
    isPlainScript: false,
    ...changes,
  };
}

export function reverting(order: StepOrder): StepOrder {
  return { ...order, action: 'revert', direction: 'backward' };
}

export async function executeOne(bench: Workbench, order: StepOrder): Promise<StepOutcome> {
  const [outcome] = await bench.executor.execute([order], bench.run);
  if (outcome === undefined) throw new Error('no outcome');
  return outcome;
}

/** Waits until a condition holds, with a deadline. */
export async function until(what: string, holds: () => boolean, withinMs = 15_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await sleep(20);
  }
}

/** The step host of this test's executor: a child of this process that runs a step. */
export function hostPid(): number | null {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return (
          new RegExp(`^PPid:\\s*${process.pid}$`, 'm').test(readFileSync(`/proc/${pid}/status`, 'utf8')) &&
          /(^rungs-step|host\/main|step-host)/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
        );
      } catch {
        return false;
      }
    });
  return children[0] ?? null;
}
