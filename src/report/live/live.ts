// Draws a run on a terminal while it goes on: the phase that runs as a tree in the last lines, every phase that has ended as a line that stays, and of
// one that failed what failed with the last things that it said. At the end the summary, in a box.
import type { UpgradeEvent } from '../../model/event.ts';
import type { Outlook } from '../../model/outlook.ts';
import { count, marks, wayOf, type Ink } from '../layout.ts';
import type { Output } from '../output.ts';
import { findingLine } from '../plain-checks.ts';
import { asItIs, type Reporter, type Scrub, type Verbosity } from '../reporter.ts';
import { readable, sanitize } from '../sanitize.ts';
import { createScreen, type Screen } from '../screen.ts';
import { scrubValue } from '../scrub.ts';
import { boxed } from '../box.ts';
import { renderSummary } from '../summary.ts';
import { createPainter } from './painter.ts';
import { createTree, type Phase, type TreeNode } from './tree.ts';
import { drawTree, markOf, type Sight } from './view.ts';

export interface LiveOptions {
  readonly output: Output;
  readonly ink: Ink;
  readonly verbosity: Verbosity;
  readonly scrub?: Scrub;
  /** What is to come, where it is known. */
  readonly outlook?: Outlook | null;
  /** Milliseconds since the epoch: events of another process are told with such. */
  readonly now?: () => number;
}

const drawEveryMs = 100;
const shownFailures = 5;

export function createLiveReporter(options: LiveOptions): Reporter {
  const { output, ink, verbosity, scrub = asItIs, outlook: given = null, now = Date.now } = options;
  const clean = (text: string): string => sanitize(scrub(text));
  const outlook = given === null ? null : scrubValue(given, clean);
  const tree = createTree(outlook);
  const painter = createPainter(output);
  const kept: string[] = [];
  const screen: Screen = createScreen(
    { write: (text) => void kept.push(...text.split('\n').slice(0, -1)), columns: output.columns },
    ink,
    verbosity,
  );
  let timer: NodeJS.Timeout | null = null;

  const sight = (): Sight => ({ ink, columns: output.columns, rows: output.rows, now: now() });
  const draw = (): void => painter.draw(drawTree(tree, outlook, sight()));
  const stopListening = output.onResize(() => {
    painter.resized();
    draw();
  });
  // What was printed since stays, above what is drawn.
  const flush = (): void => painter.print(kept.splice(0));

  function ended({ node, notes, name }: Phase): void {
    const about = node.about === '' && name === 'orchestration' ? sizeOf(node) : node.about;
    screen.line(0, markOf(node.status, ink), `${ink.strong(name)}${about === '' ? '' : `  ${about}`}`, node.durationMs ?? 0);
    for (const note of notes) {
      if (note.kind === 'finding') findingLine(screen, note.finding);
      else screen.line(2, ink.back(marks.warning), note.message);
    }
    const failed = leavesOf(node).filter(({ status }) => status === 'failed' || status === 'doubt');
    for (const child of failed.slice(0, shownFailures)) {
      screen.line(
        2,
        markOf(child.status, ink),
        `${child.id}${child.about === '' ? '' : `  ${ink.quiet(child.about)}`}`,
        child.durationMs ?? 0,
      );
      screen.output(4, child.output);
    }
    if (failed.length > shownFailures) screen.print(`  ${ink.quiet(`… and ${failed.length - shownFailures} more`)}`);
  }

  function onEvent(raw: UpgradeEvent): void {
    const event = scrubValue(raw.type === 'step-output' ? { ...raw, line: readable(raw.line) } : raw, clean);
    if (event.type === 'run-started') {
      const size = `${count(event.steps, 'step')}${event.resumed ? ', taken up again' : ''}`;
      kept.push(`${ink.strong(event.product)}  ${wayOf(event)}  ${ink.quiet(size)}`, '');
    }
    if (verbosity === 'verbose' && event.type === 'step-output') screen.output(4, [event.line]);
    const finished = tree.onEvent(event);
    if (finished !== null) ended(finished);
    else if (event.type === 'warning' && tree.phase === null) screen.line(0, ink.back(marks.warning), event.message);
    if (kept.length > 0) flush();
    if (finished !== null) painter.draw([]);
    timer ??= setInterval(draw, drawEveryMs).unref();
  }

  function close(): void {
    if (timer !== null) clearInterval(timer);
    timer = null;
    stopListening();
    painter.draw([]);
  }

  return {
    onEvent,
    aside(text) {
      painter.print(text.replace(/\n$/, '').split('\n'));
    },
    close,
    finish(result) {
      close();
      const columns = Math.min(output.columns, 100);
      const lines = renderSummary(scrubValue(result, clean), { ink, columns: columns - 4, hasEvidence: true });
      output.write(`\n${boxed(lines, columns, ink).join('\n')}\n`);
    },
  };
}

function leavesOf(node: TreeNode): readonly TreeNode[] {
  return node.children.length === 0 ? [node] : node.children.flatMap(leavesOf);
}

function sizeOf({ children }: TreeNode): string {
  const steps = children.reduce((sum, child) => sum + child.children.length, 0);
  const done = children.reduce((sum, child) => sum + child.children.filter(({ status }) => status === 'done').length, 0);
  const parts =
    children.length < 2 ? '' : `${count(children.length, children.some(({ id }) => id.includes('@')) ? 'part' : 'transition')}, `;
  return steps === 0 ? '' : `${parts}${done === steps ? count(steps, 'step') : `${done} of ${count(steps, 'step')}`}`;
}
