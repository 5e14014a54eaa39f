// Spans of a run for whoever collects them. Without `OTEL_EXPORTER_OTLP_ENDPOINT`, and in a program that has no tracer of its own, nothing of it is
// loaded. Promises that a collector that is away costs a run five seconds at most, and nothing else.
import type { UpgradeEvent } from '../model/event.ts';
import { createSpanListener } from '../report/spans.ts';
import type { Scrub } from '../report/reporter.ts';
import { rungsVersion } from '../rungs-version.ts';

export interface Tracing {
  onEvent(event: UpgradeEvent): void;
  /** Sends what was gathered. Gives why it could not be. */
  finish(): Promise<string | null>;
}

const finishWithinMs = 5_000;
type Environment = Readonly<Record<string, string | undefined>>;

export async function startTracing(env: Environment, scrub: Scrub): Promise<Tracing | null> {
  const isExported = [env.OTEL_EXPORTER_OTLP_ENDPOINT, env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT].some((one) => (one ?? '') !== '');
  const isInTracedProgram = Symbol.for('opentelemetry.js.api.1') in globalThis;
  if ((!isExported && !isInTracedProgram) || env.OTEL_SDK_DISABLED === 'true') return null;
  const { trace, context, ROOT_CONTEXT, SpanStatusCode } = await import('@opentelemetry/api');
  const own = isExported ? await exportingProvider(env) : null;
  const provider = own ?? trace.getTracerProvider();
  const spans = createSpanListener(
    {
      tracer: provider.getTracer('rungs', rungsVersion),
      setSpan: trace.setSpan,
      parent: isExported ? ROOT_CONTEXT : context.active(),
      error: SpanStatusCode.ERROR,
    },
    scrub,
  );
  return {
    onEvent: spans.onEvent,
    async finish() {
      spans.end();
      if (own === null) return null;
      // It keeps the process: nothing else may be left that does while a collector says nothing.
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<'late'>((resolve) => {
        timer = setTimeout(() => resolve('late'), finishWithinMs);
      });
      try {
        return (await Promise.race([own.shutdown(), late])) === 'late' ? 'it takes too long' : null;
      } catch (error) {
        return scrub(String(error));
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/** Where to, with which headers, under which name: the exporter reads it from the environment, as OpenTelemetry lays down. */
async function exportingProvider(env: Environment) {
  const [{ TracerProvider, BatchSpanProcessor }, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  return new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': env.OTEL_SERVICE_NAME ?? 'rungs', 'service.version': rungsVersion }),
    spanProcessors: [
      new BatchSpanProcessor({ exporter: new OTLPTraceExporter(), maxQueueSize: 20_000, exportTimeoutMillis: finishWithinMs }),
    ],
  });
}
