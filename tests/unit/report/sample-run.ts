// Runs as events and results, for the reporters' tests: one that works, one that fails in a step and goes back, one that is stranded.
import type { EventBody, UpgradeEvent } from '../../../src/model/event.ts';
import { failure } from '../../../src/model/failure.ts';
import type { ResultDocument } from '../../../src/model/run.ts';
import { parseVersion } from '../../../src/model/version.ts';
import { createEventBus } from '../../../src/report/event-bus.ts';

export const runId = '01JC3M4V7K2Q8Z5W9X0Y1A2B3C';
const backup = { id: runId, path: `/srv/home-server/.upgrade/backups/${runId}.tar.zst`, bytes: 1_234_567, files: 45, verified: true };
const first = 'v0.1.0_to_v0.2.0';
const second = 'v0.2.0_to_v0.3.0';

export const stepFailure = failure(
  'INTERNAL',
  { error: 'the notes table has 3 rows without an owner' },
  {
    phase: 'orchestration',
    step: `${second}/002_split_notes`,
    log: ['reading notes', 'Traceback (most recent call last):', 'ValueError: 3 rows without an owner'],
  },
);

export const opening: readonly EventBody[] = [
  { type: 'run-started', from: '0.1.0', to: '0.3.0', product: 'home-server', steps: 4, resumed: false },
  { type: 'phase-started', phase: 'preflight' },
  { type: 'finding', finding: { level: 'info', code: 'PLAN', message: 'two transitions', hint: '' } },
  {
    type: 'finding',
    finding: {
      level: 'warn',
      code: 'SERVICE_NOT_OBSERVABLE',
      message: 'Nothing tells whether service proxy runs: it has no "health" and no "status" command and no "pidFile".',
      hint: 'Add one of them to services.proxy, so that a restart can be proven and not only believed.',
    },
  },
  { type: 'phase-finished', phase: 'preflight', status: 'done', durationMs: 12.4 },
  { type: 'phase-started', phase: 'backup' },
  { type: 'backup-progress', doneBytes: 600_000, totalBytes: 1_234_567, transient: true },
  { type: 'backup-verified', backup },
  { type: 'phase-finished', phase: 'backup', status: 'done', durationMs: 83 },
  { type: 'phase-started', phase: 'discovery' },
  { type: 'phase-finished', phase: 'discovery', status: 'done', durationMs: 0.4 },
  { type: 'phase-started', phase: 'orchestration' },
  { type: 'transition-started', transition: first, from: '0.1.0', to: '0.2.0' },
  { type: 'step-started', step: `${first}/001_add_email`, action: 'apply', description: 'Add an email column to users' },
  { type: 'step-finished', step: `${first}/001_add_email`, action: 'apply', status: 'applied', durationMs: 5 },
  { type: 'step-started', step: `${first}/002_mail_config`, action: 'apply', description: '' },
  { type: 'step-finished', step: `${first}/002_mail_config`, action: 'apply', status: 'applied', durationMs: 31 },
  { type: 'transition-started', transition: second, from: '0.2.0', to: '0.3.0' },
  { type: 'step-started', step: `${second}/001_move_uploads`, action: 'apply', description: 'Move uploads into folders by year' },
  { type: 'step-progress', step: `${second}/001_move_uploads`, done: 50, total: 100, note: '2024', transient: true },
  { type: 'step-finished', step: `${second}/001_move_uploads`, action: 'apply', status: 'applied', durationMs: 1_240 },
  { type: 'step-started', step: `${second}/002_split_notes`, action: 'apply', description: 'Split notes from users, in batches' },
  { type: 'step-output', step: `${second}/002_split_notes`, stream: 'stdout', line: 'reading notes', transient: true },
];

export const succeeding: readonly EventBody[] = [
  ...opening,
  { type: 'step-finished', step: `${second}/002_split_notes`, action: 'apply', status: 'applied', durationMs: 64_000 },
  { type: 'phase-finished', phase: 'orchestration', status: 'done', durationMs: 65_300 },
  { type: 'phase-started', phase: 'restart' },
  { type: 'service', service: 'api', action: 'restarting' },
  { type: 'service-settled', report: { name: 'api', status: 'healthy', durationMs: 3_120 } },
  { type: 'phase-finished', phase: 'restart', status: 'done', durationMs: 3_130 },
  { type: 'phase-started', phase: 'verify' },
  { type: 'probe-settled', report: { name: 'api answers', status: 'passed', attempts: 2, durationMs: 110 } },
  { type: 'probe-settled', report: { name: 'users kept', status: 'passed', attempts: 1, durationMs: 2 } },
  { type: 'phase-finished', phase: 'verify', status: 'done', durationMs: 112 },
  { type: 'phase-started', phase: 'commit' },
  { type: 'version-written', version: '0.3.0' },
  { type: 'phase-finished', phase: 'commit', status: 'done', durationMs: 4 },
];

export const failing: readonly EventBody[] = [
  ...opening,
  { type: 'step-finished', step: `${second}/002_split_notes`, action: 'apply', status: 'failed', durationMs: 210, failure: stepFailure },
  { type: 'step-survivors', step: `${second}/002_split_notes`, survivors: [{ pid: 4711, command: 'sleep 600' }] },
  { type: 'phase-finished', phase: 'orchestration', status: 'failed', durationMs: 1_500 },
  { type: 'rollback-started', failure: stepFailure },
  { type: 'phase-started', phase: 'rollback' },
  { type: 'step-started', step: `${second}/001_move_uploads`, action: 'revert', description: 'Move uploads into folders by year' },
  { type: 'step-finished', step: `${second}/001_move_uploads`, action: 'revert', status: 'reverted', durationMs: 300 },
  { type: 'step-started', step: `${first}/002_mail_config`, action: 'revert', description: '' },
  { type: 'step-finished', step: `${first}/002_mail_config`, action: 'revert', status: 'reverted', durationMs: 8 },
  { type: 'step-started', step: `${first}/001_add_email`, action: 'revert', description: '' },
  { type: 'step-finished', step: `${first}/001_add_email`, action: 'revert', status: 'reverted', durationMs: 6 },
  {
    type: 'restored',
    restored: { path: 'config/app.yaml', why: 'content differs from the backup after backward', step: `${first}/002_mail_config` },
  },
  { type: 'rollback-proven', compared: 45, restored: 1 },
  { type: 'service-settled', report: { name: 'api', status: 'healthy', durationMs: 900 } },
  { type: 'phase-finished', phase: 'rollback', status: 'done', durationMs: 1_800 },
];

const base = {
  runId,
  product: 'home-server',
  from: parseVersion('0.1.0'),
  to: parseVersion('0.3.0'),
  planHash: 'sha256:abc',
  phases: [],
  services: [],
  probes: [],
  restored: [],
  drift: [],
  steps: ['001_add_email', '002_mail_config'].map((name) => ({
    id: `${first}/${name}`,
    status: 'applied' as const,
    durationMs: 5,
    attempts: 1,
  })),
  backup,
  failure: null,
  failures: [],
  warnings: [],
  next: null,
};

export const committedResult: ResultDocument = {
  ...base,
  outcome: 'committed',
  version: parseVersion('0.3.0'),
  durationMs: 68_900,
  services: [{ name: 'api', status: 'healthy', durationMs: 3_120 }],
  probes: [
    { name: 'api answers', status: 'passed', attempts: 2, durationMs: 110 },
    { name: 'users kept', status: 'passed', attempts: 1, durationMs: 2 },
  ],
};

export const rolledBackResult: ResultDocument = {
  ...base,
  outcome: 'rolled-back',
  version: parseVersion('0.1.0'),
  durationMs: 3_456,
  failure: stepFailure,
  failures: [stepFailure],
  restored: [{ path: 'config/app.yaml', why: 'content differs from the backup after backward', step: `${first}/002_mail_config` }],
  next: `upgrade history ${runId}`,
};

export const strandedResult: ResultDocument = {
  ...rolledBackResult,
  outcome: 'stranded',
  version: null,
  failures: [stepFailure, failure('INTERNAL', { error: 'the disk holding data/app.db is read-only' }, { phase: 'rollback' })],
  next: 'upgrade rollback',
};

export const refusedResult: ResultDocument = {
  ...base,
  outcome: 'refused',
  runId: null,
  version: parseVersion('0.1.0'),
  durationMs: 20,
  steps: [],
  backup: null,
  failures: [
    failure(
      'SERVICE_ACTION_MISSING',
      { service: 'web', action: 'restart' },
      { place: { file: '/srv/home-server/upgrade.yaml', line: 12, column: 3 } },
    ),
    failure(
      'SERVICE_EXECUTABLE_MISSING',
      { service: 'proxy', action: 'restart', executable: 'bin/proxy', problem: 'there is no such file' },
      { place: { file: '/srv/home-server/upgrade.yaml', line: 14 } },
    ),
  ],
};

/** The bodies as the bus stamps them, at one moment. */
export function stamped(bodies: readonly EventBody[]): readonly UpgradeEvent[] {
  const events: UpgradeEvent[] = [];
  const bus = createEventBus({ runId, now: () => '2026-01-02T03:04:05.678Z', append: () => undefined });
  bus.subscribe((event) => events.push(event));
  for (const body of bodies) bus.emit(body);
  return events;
}
