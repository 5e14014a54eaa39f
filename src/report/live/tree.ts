// What is going on in a run, as a tree: the phase, its transitions or services, their steps. Given the events in their order and, where it is
// known, what is to come; promises that an event costs the same whether ten steps came before it or ten thousand.
import type { UpgradeEvent } from '../../model/event.ts';
import type { Outlook, OutlookStep } from '../../model/outlook.ts';
import type { Finding } from '../../model/plan.ts';
import type { PhaseName } from '../../model/run.ts';
import { bytes, count, ladderPart, wayOf } from '../layout.ts';

export type NodeStatus = 'waiting' | 'going' | 'done' | 'failed' | 'back' | 'doubt' | 'note';

export interface Progress {
  readonly done: number;
  /** `null`: nobody knows how much there is. */
  readonly total: number | null;
  readonly note: string;
}

export interface TreeNode {
  /** Of a step its whole id, of others their name. */
  readonly id: string;
  readonly title: string;
  about: string;
  status: NodeStatus;
  /** Milliseconds since the epoch. */
  startedAt: number | null;
  durationMs: number | null;
  estimatedMs: number | null;
  progress: Progress | null;
  /** The last lines that it printed, the newest last. */
  output: readonly string[];
  readonly children: TreeNode[];
  /** Of the children. */
  ended: number;
}

export type Note = { readonly kind: 'finding'; readonly finding: Finding } | { readonly kind: 'warning'; readonly message: string };

export interface Phase {
  readonly name: PhaseName;
  readonly node: TreeNode;
  readonly notes: Note[];
}

export interface Tree {
  readonly phase: Phase | null;
  /** Phases that have come to their end, in their order. */
  readonly ended: readonly PhaseName[];
  readonly steps: { readonly done: number; readonly total: number };
  readonly isGoingBack: boolean;
  readonly startedAt: number | null;
  /** Gives the phase that has come to its end by this event. */
  onEvent(event: UpgradeEvent): Phase | null;
}

type EventOf<T extends UpgradeEvent['type']> = Extract<UpgradeEvent, { readonly type: T }>;

const keptOutput = 10;
const statusOf = { applied: 'done', reverted: 'back', failed: 'failed', 'revert-failed': 'failed', 'in-doubt': 'doubt' } as const;

export function createTree(outlook: Outlook | null): Tree {
  let phase: Phase | null = null;
  let transition: TreeNode | null = null;
  /** Steps and services of the phase by name, and whose children they are. */
  const nodes = new Map<string, { readonly node: TreeNode; readonly parent: TreeNode }>();
  const transitions = new Map<string, TreeNode>();
  const ended: PhaseName[] = [];
  let done = 0;
  let total = 0;
  let startedAt: number | null = null;
  let isGoingBack = false;

  function begin(name: PhaseName, at: number): void {
    const node = newNode(name, name, { status: 'going', startedAt: at, estimatedMs: outlook?.phaseMs[name] ?? null });
    phase = { name, node, notes: [] };
    transition = null;
    nodes.clear();
    transitions.clear();
    if (name === 'rollback') isGoingBack = true;
    if (name !== 'orchestration') return;
    for (const { id, from, to, steps } of outlook?.transitions ?? []) {
      const one = addTransition(id, from, to);
      for (const step of steps) addStep(step, one);
    }
  }

  function addTransition(id: string, from: string | null, to: string | null): TreeNode {
    const title = id.includes('@') ? ladderPart(id) : wayOf({ from, to });
    const node = newNode(id, title);
    phase?.node.children.push(node);
    transitions.set(id, node);
    return node;
  }

  function addStep({ id, description, estimatedMs, isDone }: OutlookStep, parent: TreeNode): TreeNode {
    const node = newNode(id, parent === phase?.node ? id : id.slice(id.indexOf('/') + 1), {
      about: description,
      estimatedMs,
      status: isDone ? 'done' : 'waiting',
    });
    parent.children.push(node);
    if (isDone) parent.ended += 1;
    nodes.set(id, { node, parent });
    return node;
  }

  function nodeOf(id: string, about = ''): { readonly node: TreeNode; readonly parent: TreeNode } | null {
    const known = nodes.get(id);
    if (known !== undefined) return known;
    const parent = transition ?? phase?.node ?? null;
    if (parent === null) return null;
    return { node: addStep({ id, description: about, estimatedMs: null, isDone: false }, parent), parent };
  }

  function settle(id: string, status: NodeStatus, durationMs: number): TreeNode | null {
    const found = nodeOf(id);
    if (found === null) return null;
    const { node, parent } = found;
    if (!hasEnded(node)) parent.ended += 1;
    Object.assign(node, { status, durationMs, progress: null });
    return node;
  }

  function stepFinished({ step, action, status, durationMs, failure }: EventOf<'step-finished'>): void {
    const wasDone = nodes.get(step)?.node.status === 'done';
    const node = settle(step, statusOf[status], durationMs);
    if (action === 'apply' && status === 'applied' && !wasDone) done += 1;
    if (node === null) return;
    if (failure === undefined) node.output = [];
    else node.output = (failure.log ?? node.output).slice(-keptOutput);
    const parent = nodes.get(step)?.parent;
    if (parent === undefined || parent === phase?.node) return;
    if (failure !== undefined) parent.status = 'failed';
    else if (parent.ended === parent.children.length && parent.status === 'going') close(parent, 'done', node);
  }

  /** All of it is over: what it took is the sum of what its steps took. */
  function close(node: TreeNode, status: NodeStatus, last: TreeNode): void {
    node.status = status;
    node.durationMs = node.children.reduce((sum, { durationMs }) => sum + (durationMs ?? 0), 0);
    last.output = [];
  }

  function service(name: string, action: EventOf<'service'>['action'], at: number): void {
    const found = nodeOf(name, action);
    if (found === null) return;
    const { node } = found;
    node.about = action === 'waiting' ? 'until it is well' : action;
    if (action === 'stopped') settle(name, 'note', at - (node.startedAt ?? at));
    else Object.assign(node, { status: 'going', startedAt: node.startedAt ?? at });
  }

  return {
    get phase() {
      return phase;
    },
    ended,
    get steps() {
      return { done, total };
    },
    get isGoingBack() {
      return isGoingBack;
    },
    get startedAt() {
      return startedAt;
    },
    onEvent(event) {
      const at = Date.parse(event.at);
      startedAt ??= at;
      switch (event.type) {
        case 'run-started':
          total = event.steps;
          done = (outlook?.transitions ?? []).reduce((sum, { steps }) => sum + steps.filter(({ isDone }) => isDone).length, 0);
          break;
        case 'phase-started':
          begin(event.phase, at);
          break;
        case 'phase-finished': {
          const finished = phase;
          if (finished === null) break;
          const status = event.status === 'failed' ? 'failed' : event.phase === 'rollback' ? 'back' : 'done';
          Object.assign(finished.node, { status, durationMs: event.durationMs, progress: null });
          ended.push(event.phase);
          phase = null;
          return finished;
        }
        case 'finding':
          phase?.notes.push({ kind: 'finding', finding: event.finding });
          break;
        case 'warning':
          phase?.notes.push({ kind: 'warning', message: event.message });
          break;
        case 'backup-progress':
          if (phase !== null)
            phase.node.progress = {
              done: event.doneBytes,
              total: event.totalBytes,
              note: `${bytes(event.doneBytes)} of ${bytes(event.totalBytes)}`,
            };
          break;
        case 'image-progress':
          if (phase !== null)
            phase.node.progress = { done: event.doneBytes, total: event.totalBytes, note: `${event.image} ${bytes(event.doneBytes)}` };
          break;
        case 'backup-verified': {
          const { files, bytes: size, verified } = event.backup;
          if (phase !== null)
            phase.node.about = `${count(files, 'file')}, ${bytes(size)}, ${verified ? 'read back and equal' : 'not verified'}`;
          break;
        }
        case 'transition-started':
          transition = transitions.get(event.transition) ?? addTransition(event.transition, event.from, event.to);
          Object.assign(transition, { status: 'going', startedAt: at });
          break;
        case 'step-started': {
          const found = nodeOf(event.step, event.description);
          if (found === null) break;
          Object.assign(found.node, { status: 'going', startedAt: at, output: [], about: event.description || found.node.about });
          // Where nobody knew of this step, its transition had seemed to be over.
          if (found.parent.status === 'done') Object.assign(found.parent, { status: 'going', durationMs: null });
          break;
        }
        case 'step-progress': {
          const node = nodes.get(event.step)?.node;
          if (node !== undefined) node.progress = { done: event.done, total: event.total, note: event.note };
          break;
        }
        case 'step-output': {
          const node = nodes.get(event.step)?.node;
          if (node !== undefined) node.output = [...node.output.slice(1 - keptOutput), event.line];
          break;
        }
        case 'step-finished':
          stepFinished(event);
          break;
        case 'step-survivors':
          for (const { pid, command } of event.survivors)
            phase?.notes.push({ kind: 'warning', message: `${event.step} left a process running: ${command} (PID ${pid})` });
          break;
        case 'service':
          service(event.service, event.action, at);
          break;
        case 'service-settled': {
          const { name, status, durationMs, failure } = event.report;
          const node = settle(name, failure !== undefined ? 'failed' : status === 'not-restarted' ? 'note' : 'done', durationMs);
          if (node !== null) Object.assign(node, { about: status === 'not-restarted' ? 'left alone' : status, output: failure?.log ?? [] });
          break;
        }
        case 'probe-settled': {
          const { name, status, durationMs, attempts, detail } = event.report;
          const node = settle(name, status === 'passed' ? 'done' : 'failed', durationMs);
          if (node !== null)
            Object.assign(node, {
              about: attempts > 1 ? count(attempts, 'attempt') : '',
              output: status === 'failed' ? [detail ?? ''] : [],
            });
          break;
        }
        case 'rollback-proven':
          if (phase !== null)
            phase.node.about = `${count(event.compared, 'path')} compared with the backup: ${event.restored === 0 ? 'all as before' : `${event.restored} put back, now all as before`}`;
          break;
        default:
          break;
      }
      return null;
    },
  };
}

export function hasEnded({ status }: TreeNode): boolean {
  return status !== 'waiting' && status !== 'going';
}

function newNode(id: string, title: string, rest: Partial<TreeNode> = {}): TreeNode {
  return {
    id,
    title,
    about: '',
    status: 'waiting',
    startedAt: null,
    durationMs: null,
    estimatedMs: null,
    progress: null,
    output: [],
    children: [],
    ended: 0,
    ...rest,
  };
}
