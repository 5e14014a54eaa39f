// The lines that a terminal shows of a run that goes on. Pure: of any tree at most as many lines as there are rows, none wider than the columns;
// of thousands of steps only those around the running one.
import { phaseNames } from '../../model/run.ts';
import type { Outlook } from '../../model/outlook.ts';
import { cut, duration, marks, padEnd, width, type Ink } from '../layout.ts';
import { hasEnded, type NodeStatus, type Tree, type TreeNode } from './tree.ts';
import { timeLeft } from './time-left.ts';

export interface Sight {
  readonly ink: Ink;
  readonly columns: number;
  readonly rows: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Lines longer than this are hard to follow from left to right; what steps print may be longer. */
const mostColumns = 100;
const fewestRows = 4;
const widestBar = 30;
// What is drawn around a running step where there is room for more.
const mostBefore = 8;
const mostAfter = 4;

export function drawTree(tree: Tree, outlook: Outlook | null, sight: Sight): readonly string[] {
  const { phase } = tree;
  if (phase === null) return [];
  const footer = footerOf(tree, outlook, sight);
  const rows = Math.max(fewestRows, sight.rows - 1) - footer.length;
  const warnings = phase.notes.flatMap((note) =>
    note.kind === 'warning' ? [note.message] : note.finding.level === 'info' ? [] : [note.finding.message],
  );
  const notes = warnings.slice(-2).map((text) => clip(`  ${sight.ink.back(marks.warning)} ${text}`, sight));
  const head = ownLines(phase.node, 0, sight);
  const children = childLines(phase.node, 1, rows - head.length - notes.length, sight);
  return [...head, ...notes, ...children].slice(0, rows).concat(footer);
}

/** A line with what it is at the left and how long at the right; while it runs, its bar and the last line that it printed below. */
function ownLines(node: TreeNode, level: number, sight: Sight): readonly string[] {
  const { ink, now } = sight;
  const isGoing = node.status === 'going';
  const elapsed = node.durationMs ?? (isGoing && node.startedAt !== null ? Math.max(0, now - node.startedAt) : null);
  const parts = node.children.length > 1 && level > 0 ? `  ${ink.quiet(`${node.ended} of ${node.children.length}`)}` : '';
  const name = level === 0 ? ink.strong(node.title) : node.status === 'waiting' ? ink.quiet(node.title) : node.title;
  const about = node.about === '' ? '' : `  ${ink.quiet(node.about)}`;
  const right = elapsed === null ? expected(node) : duration(elapsed);
  const indent = '  '.repeat(level);
  const below = isGoing ? [...barLine(node, level, sight), ...outputLine(node, level, sight)] : [];
  return [line(`${indent}${markOf(node.status, ink)} ${name}${parts}${about}`, ink.quiet(right), sight), ...below];
}

function expected({ status, estimatedMs }: TreeNode): string {
  return status === 'waiting' && estimatedMs !== null ? `about ${duration(estimatedMs)}` : '';
}

function barLine({ progress, children }: TreeNode, level: number, sight: Sight): readonly string[] {
  if (progress === null || children.length > 0) return [];
  const { done, total, note } = progress;
  const indent = '  '.repeat(level + 1);
  const far = total === null || total <= 0 ? String(done) : `${bar(done / total, sight)} ${percent(done / total)}`;
  return [clip(`${indent}${far}${note === '' ? '' : `  ${sight.ink.quiet(note)}`}`, sight)];
}

function outputLine({ output, children }: TreeNode, level: number, sight: Sight): readonly string[] {
  const last = output.at(-1);
  return last === undefined || children.length > 0
    ? []
    : [clip(`${'  '.repeat(level + 1)}${sight.ink.quiet(`${marks.output} ${last}`)}`, sight)];
}

/** A part of the children that fits: those around the one that runs, and how many there are before and behind. */
function childLines({ children }: TreeNode, level: number, rows: number, sight: Sight): readonly string[] {
  if (children.length === 0 || rows <= 0) return [];
  const going = children.findIndex(({ status }) => status === 'going');
  const next = going >= 0 ? going : children.findIndex((child) => !hasEnded(child));
  const at = next >= 0 ? next : children.length - 1;
  const centre = children[at];
  if (centre === undefined) return [];
  const isOpen = centre.status === 'going' && centre.children.length > 0;
  const beside = isOpen ? Math.min(children.length - 1, Math.max(0, Math.floor(rows / 3))) : Number.POSITIVE_INFINITY;
  const own = ownLines(centre, level, sight);
  const inner = isOpen ? childLines(centre, level + 1, rows - own.length - Math.min(beside, children.length - 1), sight) : [];
  const around = windowAround(children, at, rows - own.length - inner.length);
  const quiet = (text: string): string => clip(`${'  '.repeat(level)}${sight.ink.quiet(text)}`, sight);
  const single = (node: TreeNode): string => ownLines(node, level, sight)[0] ?? '';
  return [
    ...(around.from > 0 ? [quiet(`… ${around.from} before`)] : []),
    ...children.slice(around.from, at).map(single),
    ...own,
    ...inner,
    ...children.slice(at + 1, around.to).map(single),
    ...(around.to < children.length ? [quiet(`… ${children.length - around.to} to come`)] : []),
  ].slice(0, rows);
}

/** `from` up to `to` without it, with a row for each side of which something is left out. */
function windowAround(children: readonly TreeNode[], at: number, rows: number): { readonly from: number; readonly to: number } {
  const behind = children.length - at - 1;
  if (at + behind <= rows && at <= mostBefore && behind <= mostAfter) return { from: 0, to: children.length };
  const free = Math.max(0, rows - 2);
  const after = Math.min(behind, mostAfter, Math.floor(free / 3));
  const before = Math.min(at, mostBefore, free - after);
  // A line that says "1 before" may as well be the one.
  return { from: at - before === 1 ? 0 : at - before, to: behind - after === 1 ? children.length : at + 1 + after };
}

function footerOf(tree: Tree, outlook: Outlook | null, sight: Sight): readonly string[] {
  const { ink, now } = sight;
  const { done, total } = tree.steps;
  const isAfter = (name: string): boolean =>
    tree.phase !== null && phaseNames.findIndex((one) => one === name) > phaseNames.indexOf(tree.phase.name);
  const toCome = tree.isGoingBack ? [] : phaseNames.filter((name) => name !== 'rollback' && isAfter(name));
  const elapsed = tree.startedAt === null ? 0 : Math.max(0, now - tree.startedAt);
  const left = timeLeft(tree, outlook, now);
  const time = `${duration(elapsed)}${left === null ? '' : `, about ${duration(roughly(left))} left`}`;
  const steps = total === 0 ? '' : `${bar(done / total, sight)} ${done} of ${total} ${total === 1 ? 'step' : 'steps'}`;
  return [
    ...(toCome.length === 0 ? [] : [clip(ink.quiet(`${marks.note} ${toCome.join(`, `)}`), sight)]),
    '',
    line(tree.isGoingBack ? ink.back('going back') : steps, ink.quiet(time), sight),
  ];
}

/** Nobody expects tenths of a second of a guess. */
function roughly(ms: number): number {
  return ms < 1_000 ? Math.max(100, Math.ceil(ms / 100) * 100) : Math.ceil(ms / 1_000) * 1_000;
}

function bar(share: number, { ink, columns }: Sight): string {
  const length = Math.min(widestBar, Math.floor(columns / 4));
  const filled = Math.max(0, Math.min(length, Math.round(share * length)));
  return `${ink.good('━'.repeat(filled))}${ink.quiet('─'.repeat(length - filled))}`;
}

function percent(share: number): string {
  return `${String(Math.max(0, Math.min(100, Math.floor(share * 100)))).padStart(3)} %`;
}

/** One column stays free: a character in the last one leaves some terminals at the end of the line and some behind it. */
function line(left: string, right: string, { columns }: Sight): string {
  const edge = Math.min(columns - 1, mostColumns);
  if (right === '') return clean(cut(left, edge));
  return clean(cut(`${padEnd(cut(left, Math.max(1, edge - width(right) - 2)), edge - width(right))}${right}`, edge));
}

function clip(text: string, { columns }: Sight): string {
  return clean(cut(text, columns - 1));
}

function clean(text: string): string {
  return text.replace(/[\t\n]/g, ' ');
}

export function markOf(status: NodeStatus, ink: Ink): string {
  switch (status) {
    case 'going':
      return ink.strong(marks.going);
    case 'done':
      return ink.good(marks.done);
    case 'failed':
      return ink.bad(marks.failed);
    case 'back':
      return ink.back(marks.back);
    case 'doubt':
      return ink.bad(marks.doubt);
    default:
      return ink.quiet(marks.note);
  }
}
