// The step host: a process of its own that runs module and SQL steps one after the other, and outlives its orchestrator only until the running step has ended.
import { subscribe } from 'node:diagnostics_channel';
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import type { Failure } from '../../model/failure.ts';
import type { StepOutcome } from '../../model/run.ts';
import { createConnections } from './connections.ts';
import type { Connections } from './connections.ts';
import { watchInterruptions } from './interruptions.ts';
import { controlPrefix } from './protocol.ts';
import type { GroupEnd } from '../postgres/group.ts';
import type { HostOrder, HostReply, HostRequest, HostRun } from './protocol.ts';

/** Outcomes go back in batches: a message for each would cost more than a small SQL step itself. */
const flushEveryMs = 40;
/** Connections are closed when no step has come for so long, as others may replace the files then. */
const idleMs = 100;

// Told, not looked up: whoever started us may be dead before we look, and then it is somebody else's child that we would take ourselves for.
const orchestrator = Number(process.argv.at(-1));
const interruptions = watchInterruptions();
let connections: { readonly runId: string; readonly open: Connections } | null = null;
let idleTimer: NodeJS.Timeout | undefined;
let cancelling = new AbortController();
let isBusy = false;
let usedChildren = false;
let sqlStep: typeof import('./sql-step.ts') | null = null;
let postgresSteps: typeof import('../postgres/sql-steps.ts') | null = null;
let moduleStep: typeof import('./module-step.ts') | null = null;
let moduleLoader: typeof import('./module-loader.ts') | null = null;

subscribe('child_process', () => {
  usedChildren = true;
});
// A step that prints faster than it is read has to wait: written asynchronously, all of it would pile up in this process.
for (const stream of [process.stdout, process.stderr]) {
  const handle: unknown = Reflect.get(stream, '_handle');
  if (typeof handle === 'object' && handle !== null && 'setBlocking' in handle && typeof handle.setBlocking === 'function')
    handle.setBlocking(true);
}
// A reader that has gone must not fail a step that could still finish.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});
// The whole group is told to end; what the step itself makes of it is between it and its signal.
process.on('SIGTERM', () => {});
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
process.on('disconnect', () => {
  if (!isBusy) process.exit(0);
});
process.on('message', (request: HostRequest) => void serve(request));

async function serve(request: HostRequest): Promise<void> {
  if (request.type === 'cancel') return cancelling.abort(request.reason);
  if (request.type === 'preload') return preload(request.order);
  clearTimeout(idleTimer);
  isBusy = true;
  cancelling = new AbortController();
  usedChildren = false;
  if (request.type === 'execute') await execute(request.run, request.orders);
  else if (request.type === 'check') await check(request.run, request.order);
  else if (request.type === 'describe') await describe(request.files);
  else await release();
  isBusy = false;
  if (!process.connected) process.exit(0);
  idleTimer = setTimeout(() => void closeConnections(), idleMs).unref();
}

async function execute(run: HostRun, orders: readonly HostOrder[]): Promise<void> {
  let settled: StepOutcome[] = [];
  let flushedAt = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    flushedAt = performance.now();
    if (settled.length > 0) send({ type: 'settled', outcomes: settled });
    settled = [];
  };
  let startedAt = performance.now();
  const settle = (order: HostOrder, failed: Failure | null): void => {
    const now = performance.now();
    settled.push({
      stepId: order.id,
      status: failed === null ? 'done' : 'failed',
      durationMs: now - startedAt,
      ...(failed === null ? {} : { failure: failed }),
    });
    startedAt = now;
    if (now - flushedAt >= flushEveryMs) flush();
    else timer ??= setTimeout(flush, flushEveryMs).unref(); // For a step that waits.
  };
  const isGroup = orders[0]?.isGrouped === true;
  if (isGroup) await runGroup(run, orders, settle);
  for (let at = 0; at < orders.length && !isGroup;) {
    if (isOver()) break;
    const batch = postgresBatch(run, orders, at);
    if (batch !== null) {
      postgresSteps ??= await import('../postgres/sql-steps.ts');
      const open = connectionsFor(run).postgres;
      const isDone = await postgresSteps.runPostgresSteps({ ...batch, run, connections: open, signal: cancelling.signal, isOver, settle });
      if (!isDone) break;
      at += batch.orders.length;
      continue;
    }
    const order = orders[at];
    if (order === undefined) break;
    startedAt = performance.now();
    const before = flushedAt;
    const failed = order.kind === 'sql' ? await runSql(order, run) : await runModule(order, run);
    settle(order, failed);
    if (failed !== null) break;
    if (before !== flushedAt) await yieldToEvents(); // Cancelling arrives here.
    at += 1;
  }
  if (orders.some(({ kind }) => kind !== 'sql')) endOutput(run);
  flush();
  send({ type: 'finished', usedChildren });
}

/** All of them are told as done, or the one that failed alone. */
async function runGroup(
  run: HostRun,
  orders: readonly HostOrder[],
  settle: (order: HostOrder, failed: Failure | null) => void,
): Promise<void> {
  // Each of them: its limits are its own, and who is killed in it has to be told by its name.
  const onBegun = ({ id }: HostOrder): void => send({ type: 'begun', step: id });
  const batch = postgresBatch(run, orders, 0);
  let end: GroupEnd;
  if (batch === null) {
    const { runSqliteGroup } = await import('./sqlite-group.ts');
    end = await runSqliteGroup({ orders, run, connections: connectionsFor(run), isOver, onBegun });
  } else {
    const { runPostgresGroup } = await import('../postgres/group.ts');
    const rest = { run, connections: connectionsFor(run).postgres, signal: cancelling.signal, isOver, onBegun };
    end = await runPostgresGroup({ ...batch, ...rest });
  }
  if (end === 'done') for (const order of orders) settle(order, null);
  else if (end !== 'not-begun') settle(end.order, end.failed);
}

/** SQL steps on one PostgreSQL database that follow each other. */
function postgresBatch(
  run: HostRun,
  orders: readonly HostOrder[],
  at: number,
): { readonly database: string; readonly orders: readonly HostOrder[] } | null {
  const first = orders[at];
  const database = first?.kind === 'sql' ? postgresOf(run, first) : null;
  if (database === null) return null;
  const rest = orders.slice(at);
  const end = rest.findIndex((order) => order.kind !== 'sql' || postgresOf(run, order) !== database);
  return { database, orders: end < 0 ? rest : rest.slice(0, end) };
}

function postgresOf({ databases }: HostRun, { database }: HostOrder): string | null {
  const [only, ...others] = Object.keys(databases);
  const name = database ?? (others.length === 0 ? (only ?? null) : null);
  return name !== null && databases[name]?.kind === 'postgres' ? name : null;
}

function isOver(): boolean {
  return isOrphan() || cancelling.signal.aborted;
}

async function runSql(order: HostOrder, run: HostRun): Promise<Failure | null> {
  // Asked for once: even what is loaded already takes a while to be imported, compared with a small step.
  sqlStep ??= await import('./sql-step.ts');
  return sqlStep.runSqlHalf(order, run, connectionsFor(run));
}

/** What goes wrong is told when the step is run: a module is loaded once, and a failure stays one. */
async function preload(order: HostOrder): Promise<void> {
  moduleLoader ??= await import('./module-loader.ts');
  if (order.code !== null) moduleLoader.useStripped(order.file, order.code);
  moduleLoader.loadModule(order.file);
}

async function runModule(order: HostOrder, run: HostRun): Promise<Failure | null> {
  moduleStep ??= await import('./module-step.ts');
  const { runModuleHalf, reachesFiles } = moduleStep;
  moduleLoader ??= await import('./module-loader.ts');
  if (order.code !== null) moduleLoader.useStripped(order.file, order.code);
  enter(order, run);
  // What earlier steps wrote may still lie in a WAL, which would be missing in a copy of the file, and be played into the file that replaces it.
  if (!order.isDatabaseOnly && reachesFiles(order)) await closeConnections();
  return runModuleHalf({ order, run, connections: connectionsFor(run), interruptions, signal: cancelling.signal, send });
}

/** Behind the last line, on both pipes: only then the output is complete. */
function endOutput(run: HostRun): void {
  const end = `${controlPrefix(run.nonce)}E\n`;
  process.stdout.write(end);
  process.stderr.write(end);
}

/** The same surroundings as shell and Python steps have; children that the step starts inherit the marks. */
function enter(order: HostOrder, run: HostRun): void {
  process.title = `rungs-step ${order.id}`;
  process.env['UPGRADE_STEP'] = order.id;
  process.env['UPGRADE_DIRECTION'] = order.direction;
  process.env['UPGRADE_FROM'] = order.from;
  process.env['UPGRADE_TO'] = order.to;
  if (process.cwd() !== run.root) process.chdir(run.root);
}

async function check(run: HostRun, order: HostOrder): Promise<void> {
  const { runCheck } = await import('./module-step.ts');
  enter(order, run);
  const checked = await runCheck({ order, run, connections: connectionsFor(run), interruptions, signal: cancelling.signal, send });
  await closeConnections();
  send({ type: 'checked', ...checked });
  send({ type: 'finished', usedChildren });
}

async function describe(files: readonly string[]): Promise<void> {
  const { describeFiles } = await import('./describe-files.ts');
  send({ type: 'described', ...describeFiles(files) });
  send({ type: 'finished', usedChildren });
}

async function release(): Promise<void> {
  await closeConnections();
  send({ type: 'released' });
}

function connectionsFor(run: HostRun): Connections {
  if (connections?.runId !== run.runId) {
    void closeConnections();
    connections = { runId: run.runId, open: createConnections(run) };
  }
  return connections.open;
}

async function closeConnections(): Promise<void> {
  connections?.open.closeAll();
  await connections?.open.postgres.closeAll();
}

function isOrphan(): boolean {
  return !process.connected || process.ppid !== orchestrator;
}

function send(reply: HostReply): void {
  if (process.connected) process.send?.(reply);
}
