// When what was done in a run, as bars to one scale: the phases, and of the steps those that took longest. From the events alone, in their order.
import type { UpgradeEvent } from '../model/event.ts';
import { cut, duration, padEnd, type Ink } from './layout.ts';

interface Span {
  readonly name: string;
  readonly isStep: boolean;
  readonly kind: 'good' | 'bad' | 'back';
  /** Milliseconds from the beginning. */
  readonly from: number;
  readonly ms: number;
}

const mostSteps = 12;
/** What takes less than this share cannot be told from its neighbours. */
const leastShare = 0.01;

/** Nothing where no time has passed. Time in which nobody worked on the run, before it was taken up again, stands there as a gap. */
export function renderTimeline(
  events: readonly UpgradeEvent[],
  { ink, columns }: { readonly ink: Ink; readonly columns: number },
): readonly string[] {
  const spans = spansOf(events);
  const total = Math.max(0, ...spans.map(({ from, ms }) => from + ms));
  if (total <= 0) return [];
  const steps = spans.filter(({ isStep, ms }) => isStep && ms >= total * leastShare);
  const shown = new Set([...spans.filter(({ isStep }) => !isStep), ...steps.toSorted((a, b) => b.ms - a.ms).slice(0, mostSteps)]);
  const width = Math.min(columns, 100);
  const names = Math.min(34, Math.floor(width * 0.4));
  const bars = width - names - 15;
  const scale = (ms: number): number => Math.round((ms / total) * bars);
  return spans
    .filter((span) => shown.has(span))
    .map(({ name, isStep, kind, from, ms }) => {
      const start = Math.min(scale(from), bars - 1);
      const length = Math.max(1, Math.min(bars - start, scale(from + ms) - start));
      const title = padEnd(cut(`${isStep ? '    ' : '  '}${isStep ? shortName(name) : name}`, names), names);
      const bar = `${' '.repeat(start)}${ink[kind]((isStep ? '─' : '━').repeat(length))}`;
      return `  ${isStep ? ink.quiet(title) : title} ${padEnd(bar, bars)} ${ink.quiet(duration(ms).padStart(10))}`.trimEnd();
    });
}

function spansOf(events: readonly UpgradeEvent[]): readonly Span[] {
  const spans: Span[] = [];
  const open = new Map<string, number>();
  const [first] = events;
  const zero = first === undefined ? 0 : Date.parse(first.at);
  const since = (event: UpgradeEvent): number => Math.max(0, Date.parse(event.at) - zero);
  for (const event of events) {
    if (event.type === 'phase-started')
      open.set(event.phase, spans.push({ name: event.phase, isStep: false, kind: 'good', from: since(event), ms: 0 }) - 1);
    if (event.type === 'phase-finished') {
      const at = open.get(event.phase);
      const begun = at === undefined ? undefined : spans[at];
      if (at === undefined || begun === undefined) continue;
      spans[at] = {
        ...begun,
        ms: event.durationMs,
        kind: event.status === 'failed' ? 'bad' : event.phase === 'rollback' ? 'back' : 'good',
      };
    }
    if (event.type === 'step-finished' && event.durationMs > 0) {
      const kind = event.failure !== undefined ? 'bad' : event.action === 'revert' ? 'back' : 'good';
      spans.push({ name: event.step, isStep: true, kind, from: Math.max(0, since(event) - event.durationMs), ms: event.durationMs });
    }
  }
  return spans;
}

function shortName(step: string): string {
  return step.slice(step.indexOf('/') + 1);
}
