// A run as spans of OpenTelemetry: the run, its phases in it, its steps, services and probes in those. Given a tracer, promises that every span that was
// begun is ended, also where the run is cut off.
import type { Attributes, Context, Span, Tracer } from '@opentelemetry/api';
import type { UpgradeEvent } from '../model/event.ts';
import type { Scrub } from './reporter.ts';
import { scrubValue } from './scrub.ts';

interface Api {
  readonly tracer: Tracer;
  readonly setSpan: (context: Context, span: Span) => Context;
  /** Where the run's own span belongs. */
  readonly parent: Context;
  /** `SpanStatusCode.ERROR` */
  readonly error: number;
}

export interface SpanListener {
  onEvent(event: UpgradeEvent): void;
  /** Ends what is still open. */
  end(): void;
}

export function createSpanListener({ tracer, setSpan, parent, error }: Api, scrub: Scrub): SpanListener {
  let run: { readonly span: Span; readonly context: Context } | null = null;
  let phase: { readonly span: Span; readonly context: Context } | null = null;
  const steps = new Map<string, Span>();
  const begin = (name: string, context: Context, at: string, attributes: Attributes): Span =>
    tracer.startSpan(name, { startTime: new Date(at), attributes }, context);
  const fail = (span: Span, message: string, attributes: Attributes = {}): void => {
    span.setAttributes(attributes);
    span.setStatus({ code: error, message });
  };
  /** For what is told when it is over. */
  const past = (name: string, event: UpgradeEvent, durationMs: number, problem: string | null): void => {
    const span = begin(name, phase?.context ?? run?.context ?? parent, new Date(Date.parse(event.at) - durationMs).toISOString(), {});
    if (problem !== null) fail(span, problem);
    span.end(new Date(event.at));
  };
  const ensureRun = (event: UpgradeEvent): NonNullable<typeof run> => {
    if (run !== null) return run;
    const span = begin('upgrade', parent, event.at, { 'rungs.run.id': event.runId });
    run = { span, context: setSpan(parent, span) };
    return run;
  };
  const endAll = (at: Date): void => {
    for (const span of steps.values()) span.end(at);
    steps.clear();
    phase?.span.end(at);
    phase = null;
    run?.span.end(at);
    run = null;
  };

  return {
    onEvent(given) {
      const event = scrubValue(given, scrub);
      const { span: whole, context } = ensureRun(event);
      switch (event.type) {
        case 'run-started':
          whole.setAttributes({
            'rungs.product': event.product,
            'rungs.from': event.from ?? '',
            'rungs.to': event.to ?? '',
            'rungs.steps': event.steps,
            'rungs.resumed': event.resumed,
          });
          return;
        case 'phase-started': {
          const span = begin(event.phase, context, event.at, { 'rungs.phase': event.phase });
          phase = { span, context: setSpan(context, span) };
          return;
        }
        case 'phase-finished':
          if (event.status === 'failed' && phase !== null) fail(phase.span, 'failed');
          phase?.span.end(new Date(event.at));
          phase = null;
          return;
        case 'step-started':
          steps.set(
            event.step,
            begin(`step ${event.step}`, phase?.context ?? context, event.at, { 'rungs.step': event.step, 'rungs.action': event.action }),
          );
          return;
        case 'step-finished': {
          const span = steps.get(event.step);
          steps.delete(event.step);
          if (span === undefined) return past(`step ${event.step}`, event, event.durationMs, event.failure?.message ?? null);
          span.setAttribute('rungs.step.status', event.status);
          if (event.failure !== undefined) fail(span, event.failure.message, { 'rungs.code': event.failure.code });
          span.end(new Date(event.at));
          return;
        }
        case 'service-settled':
          return past(`service ${event.report.name}`, event, event.report.durationMs, event.report.failure?.message ?? null);
        case 'probe-settled':
          return past(
            `probe ${event.report.name}`,
            event,
            event.report.durationMs,
            event.report.status === 'failed' ? (event.report.detail ?? 'failed') : null,
          );
        case 'run-finished':
          whole.setAttribute('rungs.outcome', event.outcome);
          if (event.result.failure !== null && event.outcome !== 'committed')
            fail(whole, event.result.failure.message, { 'rungs.code': event.result.failure.code });
          return endAll(new Date(event.at));
        default:
      }
    },
    end: () => endAll(new Date()),
  };
}
