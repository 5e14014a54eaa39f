// What `systemctl show` says of units. Questions that come while one is being answered are put together into the next one: twenty services
// that are watched at once cost one process at a time.
import { fail } from '../../model/failure.ts';
import type { Clock } from '../../model/ports.ts';
import { systemctl, type Scope } from './systemctl.ts';

export interface ShownUnit {
  readonly id: string;
  /** All its names. */
  readonly names: readonly string[];
  readonly load: string;
  readonly loadError: string;
  readonly active: string;
  readonly sub: string;
  readonly result: string;
  readonly invocation: string;
  readonly restarts: number;
  readonly exitStatus: string;
  /** `enabled`, `disabled`, `static`, `masked`…; empty where it has no file. */
  readonly enabled: string;
  readonly hasJob: boolean;
  readonly type: string;
  readonly stopTimeoutMs: number | null;
  /** Sockets, timers and paths that start it; what a socket starts. */
  readonly triggeredBy: readonly string[];
  readonly triggers: readonly string[];
  readonly after: readonly string[];
  readonly before: readonly string[];
  readonly requires: readonly string[];
}

const properties = [
  'Id',
  'Names',
  'LoadState',
  'LoadError',
  'ActiveState',
  'SubState',
  'Result',
  'InvocationID',
  'NRestarts',
  'ExecMainStatus',
  'UnitFileState',
  'Job',
  'Type',
  'TimeoutStopUSec',
  'TriggeredBy',
  'Triggers',
  'After',
  'Before',
  'Requires',
  'BindsTo',
  'ActiveEnterTimestampMonotonic',
];
const showMs = 10_000;

interface Question {
  readonly unit: string;
  readonly resolve: (shown: ShownUnit) => void;
  readonly reject: (error: unknown) => void;
}

interface Desk {
  waiting: Question[];
  isBusy: boolean;
}

const desks: Readonly<Record<Scope, Desk>> = { system: { waiting: [], isBusy: false }, user: { waiting: [], isBusy: false } };

/** Throws what `systemctl` does. `unit` is a full name. */
export async function showUnit(unit: string, scope: Scope, clock: Clock): Promise<ShownUnit> {
  const desk = desks[scope];
  return new Promise((resolve, reject) => {
    desk.waiting.push({ unit, resolve, reject });
    if (!desk.isBusy) void serve(desk, scope, clock);
  });
}

async function serve(desk: Desk, scope: Scope, clock: Clock): Promise<void> {
  desk.isBusy = true;
  while (desk.waiting.length > 0) {
    const asked = desk.waiting.splice(0);
    try {
      const shown = await showAll([...new Set(asked.map(({ unit }) => unit))], scope, clock);
      for (const { unit, resolve, reject } of asked) {
        const found = shown.get(unit);
        if (found === undefined) reject(fail('SYSTEMD_UNREACHABLE', { scope, account: `systemctl says nothing of ${unit}` }));
        else resolve(found);
      }
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
  }
  desk.isBusy = false;
}

async function showAll(units: readonly string[], scope: Scope, clock: Clock): Promise<ReadonlyMap<string, ShownUnit>> {
  const { stdout, exitCode, end, lines } = await systemctl(['show', `--property=${properties.join(',')}`, '--', ...units], {
    scope,
    clock,
    timeoutMs: showMs,
  });
  if (end === 'timed-out' || exitCode !== 0) {
    const account =
      end === 'timed-out'
        ? `systemctl show gave no answer within ${showMs / 1000} s`
        : (lines.at(-1) ?? `systemctl show exited with ${exitCode}`);
    throw fail('SYSTEMD_UNREACHABLE', { scope, account });
  }
  // One block for each, in the order in which they were asked for.
  const blocks = stdout.trim().split(/\n\n+/).map(shownUnit);
  return new Map(
    units.flatMap((unit, at) => {
      const block = blocks[at];
      return block === undefined ? [] : [[unit, block] as const];
    }),
  );
}

function shownUnit(block: string): ShownUnit {
  const values = new Map(
    block.split('\n').map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1)] as const;
    }),
  );
  const value = (name: string) => values.get(name) ?? '';
  const list = (name: string) =>
    value(name)
      .split(' ')
      .filter((word) => word !== '');
  return {
    id: value('Id'),
    names: list('Names'),
    load: value('LoadState'),
    loadError: value('LoadError').replace(/^\S+ "?(.*?)"?$/, '$1'),
    active: value('ActiveState'),
    sub: value('SubState'),
    result: value('Result'),
    // Slices and the like have no invocations.
    invocation: value('InvocationID') === '' ? value('ActiveEnterTimestampMonotonic') : value('InvocationID'),
    restarts: Number(value('NRestarts')) || 0,
    exitStatus: value('ExecMainStatus'),
    enabled: value('UnitFileState'),
    hasJob: value('Job') !== '' && value('Job') !== '0',
    type: value('Type'),
    stopTimeoutMs: timeSpan(value('TimeoutStopUSec')),
    triggeredBy: list('TriggeredBy'),
    triggers: list('Triggers'),
    after: list('After'),
    before: list('Before'),
    requires: [...list('Requires'), ...list('BindsTo')],
  };
}

const spans: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** `1min 30s` as milliseconds; `null` for `infinity` and where there is none. */
export function timeSpan(text: string): number | null {
  const parts = text.split(' ').map((part) => /^(\d+(?:\.\d+)?)(us|ms|s|min|h|d|w)$/.exec(part));
  if (text === '' || parts.includes(null)) return null;
  return parts.reduce((sum, part) => sum + Number(part?.[1] ?? 0) * (spans[part?.[2] ?? ''] ?? 0), 0);
}
