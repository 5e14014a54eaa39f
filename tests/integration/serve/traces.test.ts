// A run as a trace, taken by a receiver of OTLP over HTTP; and as nothing at all where nobody asks for it.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeSmall } from '../cli/installation.ts';
import { startReceiver, type Receiver } from './receiver.ts';

interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number; readonly message?: string };
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
}
interface Sent {
  readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[] }[];
}

let receiver: Receiver;
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => receiver.close());

const spans = (): readonly SentSpan[] =>
  receiver.received.flatMap(({ body }) =>
    (JSON.parse(body) as Sent).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)),
  );

test('the run, its phases and its steps are one trace, with what failed marked', async () => {
  const small = makeSmall({ fails: true });
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_EXPORTER_OTLP_HEADERS: 'x-team=ops' };
  const { code, stdout } = await small.upgrade(['--to', '3.0.0', '--json'], { env });
  expect(code).toBe(10);
  expect((JSON.parse(stdout) as { warnings: readonly string[] }).warnings).toEqual([]);
  expect(receiver.received[0]).toMatchObject({ path: '/v1/traces', headers: { 'x-team': 'ops' } });
  const all = spans();
  expect(new Set(all.map(({ traceId }) => traceId)).size).toBe(1);
  const named = (name: string): SentSpan => {
    const found = all.find((span) => span.name === name);
    if (found === undefined) throw new Error(`no span ${name} among ${all.map((span) => span.name).join(', ')}`);
    return found;
  };
  const run = named('upgrade');
  expect(run.parentSpanId ?? '').toBe('');
  expect(run.status.code).toBe(2);
  expect(Object.fromEntries(run.attributes.map(({ key, value }) => [key, Object.values(value)[0]]))).toMatchObject({
    'rungs.product': 'small',
    'rungs.to': '3.0.0',
    'rungs.outcome': 'rolled-back',
    'rungs.code': 'STEP_FAILED',
  });
  for (const phase of ['preflight', 'backup', 'orchestration', 'rollback']) expect(named(phase).parentSpanId).toBe(run.spanId);
  const step = named('step v2.0.0_to_v3.0.0/001_fails');
  expect(step.parentSpanId).toBe(named('orchestration').spanId);
  expect(step.status.code).toBe(2);
  for (const span of all) expect(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano)).toBe(true);
});

test('a collector that is away is a warning, and the upgrade stands', async () => {
  const small = makeSmall();
  receiver.answer = 'hang';
  const { code, stdout } = await small.upgrade(['--to', '1.1.0', '--json'], { env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url } });
  expect(code).toBe(0);
  expect((JSON.parse(stdout) as { warnings: readonly string[] }).warnings.join()).toContain('spans');
});

test('where nobody asks nothing is sent', async () => {
  const small = makeSmall();
  expect((await small.upgrade(['--to', '1.1.0'])).code).toBe(0);
  expect(receiver.received).toEqual([]);
});
