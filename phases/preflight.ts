// Collects everything that speaks against a plan, of all its transitions at once, before anything is changed.
// Given the plan; promises to write nothing, and to find each problem that can be known beforehand.
import { dirname } from 'node:path';
import { freeDisk, freeMemory, hasCommand, whyNotWritable } from '../src/discover/host-facts.ts';
import type { Config } from '../src/model/config.ts';
import { failure, failuresOf, type Failure } from '../src/model/failure.ts';
import { imagesOf, stepsOf, type Finding, type FindingLevel, type Plan, type Transition } from '../src/model/plan.ts';
import type { Ports } from '../src/model/ports.ts';
import type { AppliedStep } from '../src/model/run.ts';
import { waitsFor } from '../src/model/service-order.ts';

export interface PreflightFacts {
  readonly plan: Plan;
  readonly config: Config;
  readonly appliedSteps: readonly AppliedStep[];
  /** Checksums of the applied steps' files as they are in the migrations now; a step without a file is left out. */
  readonly checksums: ReadonlyMap<string, string>;
  /** What reading config and migrations already found. */
  readonly known: readonly Finding[];
  readonly backupBytes: number;
  /** All that the backup holds, where its restore is tried. */
  readonly restoreTestBytes?: number;
}

// Room for the journal, logs, step copies and small staging files.
const workingBytes = 32 * 1024 * 1024;

export async function preflight(
  ports: Pick<Ports, 'databases' | 'services' | 'images' | 'backups'>,
  facts: PreflightFacts,
): Promise<readonly Finding[]> {
  const { plan, config } = facts;
  const [databases, services, circles, images] = await Promise.all([
    ports.databases.check(),
    requiredServices(ports, plan, config),
    serviceCircles(ports, config),
    ports.images.findings(imagesOf(plan)),
  ]);
  const findings = [
    ...facts.known,
    ...writable(config),
    ...disk(facts),
    ...plan.transitions.flatMap((transition) => requirements(transition, config)),
    ...interpreters(plan, config),
    ...services,
    ...circles,
    ...images,
    ...databases,
    ...editedSteps(facts),
    ...irreversibleSteps(plan),
    ...unprovenKeys(ports),
  ];
  return findings.toSorted((a, b) => rank[a.level] - rank[b.level]);
}

const rank: Readonly<Record<FindingLevel, number>> = { block: 0, warn: 1, info: 2 };

export function finding(level: FindingLevel, { code, message, hint, place }: Failure): Finding {
  return { level, code, message, hint, ...(place === undefined ? {} : { place }) };
}

function writable({ root, state, backup, version }: Config): readonly Finding[] {
  // The version is written last of all, by replacing its file: a folder that forbids it would be found out too late.
  const ofVersion = version.kind === 'file' || version.kind === 'json' ? [dirname(version.file)] : [];
  return [...new Set([root, state, backup.dir, ...ofVersion])].flatMap((path) => {
    const reason = whyNotWritable(path);
    return reason === null ? [] : [finding('block', failure('STATE_NOT_WRITABLE', { path, reason }))];
  });
}

function disk({ plan, config, backupBytes, restoreTestBytes = 0 }: PreflightFacts): readonly Finding[] {
  const demands = Math.max(0, ...plan.transitions.map(({ requires }) => requires.diskBytes ?? 0));
  const wanted = [
    { path: config.backup.dir, bytes: backupBytes },
    { path: config.state, bytes: workingBytes + restoreTestBytes },
    { path: config.root, bytes: demands },
  ].map((want) => ({ ...want, ...freeOf(want.path) }));
  return [...Map.groupBy(wanted, ({ device }) => device).values()].flatMap((sharing) => {
    const neededBytes = sharing.reduce((sum, { bytes }) => sum + bytes, 0);
    const [first] = sharing;
    if (first === undefined || first.freeBytes >= neededBytes) return [];
    return [finding('block', failure('DISK_TOO_SMALL', { path: first.path, neededBytes, freeBytes: first.freeBytes }))];
  });
}

function freeOf(path: string): { readonly freeBytes: number; readonly device: number } {
  const { bytes, device } = freeDisk(path);
  return { freeBytes: bytes, device };
}

function requirements({ id, requires }: Transition, config: Config): readonly Finding[] {
  const found: Finding[] = [];
  const memory = requires.memoryBytes === null ? null : freeMemory();
  if (requires.memoryBytes !== null && memory !== null && memory < requires.memoryBytes) {
    found.push(finding('block', failure('MEMORY_TOO_SMALL', { transition: id, neededBytes: requires.memoryBytes, freeBytes: memory })));
  }
  for (const command of requires.commands) {
    if (!hasCommand(command, config.root)) found.push(finding('block', failure('COMMAND_MISSING', { command, neededBy: id })));
  }
  for (const name of requires.env) {
    if ((process.env[name] ?? '') === '') found.push(finding('block', failure('ENV_MISSING', { name, neededBy: id })));
  }
  return found;
}

function interpreters(plan: Plan, config: Config): readonly Finding[] {
  const python = stepsOf(plan).find(({ kind }) => kind === 'py');
  if (python === undefined || hasCommand('python3', config.root)) return [];
  return [finding('block', failure('COMMAND_MISSING', { command: 'python3', neededBy: `step ${python.id}` }))];
}

async function requiredServices({ services }: Pick<Ports, 'services'>, plan: Plan, config: Config): Promise<readonly Finding[]> {
  const neededBy = new Map(plan.transitions.flatMap(({ id, requires }) => requires.services.map((service) => [service, id] as const)));
  const found = await Promise.all(
    [...neededBy].map(async ([name, transition]) => {
      const service = config.services[name];
      try {
        if (service === undefined || (await services.inspect(service)).isRunning) return [];
        return [finding('block', failure('REQUIRED_SERVICE_DOWN', { service: name, neededBy: transition }))];
      } catch (error) {
        return failuresOf(error).map((problem) => finding('block', problem));
      }
    }),
  );
  return found.flat();
}

/** Those of `after:` were refused with the config; engines may close others. */
async function serviceCircles({ services }: Pick<Ports, 'services'>, config: Config): Promise<readonly Finding[]> {
  const edges = await services.order(Object.values(config.services));
  try {
    waitsFor(edges, Object.keys(config.services));
    return [];
  } catch (error) {
    return failuresOf(error).map((problem) => finding('block', problem));
  }
}

function editedSteps({ plan, appliedSteps, checksums }: PreflightFacts): readonly Finding[] {
  return appliedSteps.flatMap(({ stepId, sha256, runId }) => {
    const now = checksums.get(stepId);
    if (now === undefined || now === sha256) return [];
    // A downgrade runs the archived copy, which is what was applied.
    return [
      finding(plan.direction === 'up' ? 'block' : 'info', failure('APPLIED_STEP_EDITED', { step: stepId, run: runId }, { step: stepId })),
    ];
  });
}

function irreversibleSteps(plan: Plan): readonly Finding[] {
  if (plan.direction === 'down') return [];
  // What is made in an empty database is undone by emptying it: nothing is lost.
  return plan.transitions.flatMap(({ climb, steps }) => {
    const ids = climb?.isFresh === true ? [] : steps.flatMap((step) => (step.isReversible ? [] : [step.id]));
    // Whole ladders go forward only: that is told once, not once for each of their steps.
    const groups = climb === null ? ids.map((id) => [id]) : [ids];
    return groups.flatMap((group) => (group.length === 0 ? [] : [finding('warn', failure('STEP_CANNOT_BE_UNDONE', { steps: group }))]));
  });
}

/** A backup that nobody can open is none. */
function unprovenKeys({ backups }: Pick<Ports, 'backups'>): readonly Finding[] {
  const recipients = backups.unprovenRecipients();
  return recipients.length === 0 ? [] : [finding('warn', failure('BACKUP_KEY_UNPROVEN', { recipients }))];
}
