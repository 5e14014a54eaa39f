import { describe, expect, test } from 'vitest';
import { generatedSchemas, staleSchemas } from '../../../scripts/schemas.ts';
import { planDocument } from '../../../schemas/plan-document.ts';
import { resultDocument } from '../../../schemas/result-document.ts';
import { statusDocument } from '../../../schemas/status-document.ts';

test('the JSON Schemas are as the zod schemas say (npm run schemas)', () => {
  expect(staleSchemas()).toEqual([]);
});

test('editors are told what each key of upgrade.yaml means', () => {
  const schema: unknown = JSON.parse(generatedSchemas().get('upgrade-config.schema.json') ?? '');
  expect(schema).toMatchObject({ additionalProperties: false, required: ['product'] });
  const properties: Readonly<Record<string, unknown>> = Object(Reflect.get(Object(schema), 'properties'));
  for (const property of Object.values(properties)) expect(property).toMatchObject({ description: expect.any(String) });
});

describe('documents fit their schemas', () => {
  test('a result', () => {
    const document = {
      outcome: 'rolled-back',
      runId: '01J',
      product: 'x',
      from: '0.1.0',
      to: '0.3.0',
      version: '0.1.0',
      durationMs: 1,
      planHash: 'sha256:0',
      phases: [{ name: 'backup', status: 'done', durationMs: 12 }],
      steps: [{ id: 'v0.1.0_to_v0.2.0/001_a', status: 'reverted', durationMs: 5, attempts: 1 }],
      services: [{ name: 'api', status: 'healthy', durationMs: 900 }],
      probes: [{ name: 'x', status: 'passed', attempts: 2, durationMs: 3 }],
      backup: { id: '01J', path: 'x', bytes: 123, files: 45, verified: true },
      restored: [{ path: 'config/app.yaml', why: 'differs' }],
      drift: [{ path: 'data/live.log', why: 'size', services: ['api'] }],
      failure: { phase: 'orchestration', step: 'v/002_x', code: 'STEP_FAILED', message: 'm', hint: 'h', log: ['l'] },
      failures: [],
      warnings: [],
      next: null,
    };
    expect(resultDocument.safeParse(document).success).toBe(true);
    expect(resultDocument.safeParse({ ...document, outcome: 'fine' }).success).toBe(false);
  });

  test('a status', () => {
    const document = {
      product: 'x',
      version: null,
      latest: null,
      pending: ['v0.1.0_to_v0.2.0'],
      state: 'pending',
      run: null,
      lock: null,
      lastRun: null,
      backups: [],
      ladders: [],
      services: [],
      problems: [],
    };
    expect(statusDocument.safeParse(document).success).toBe(true);
    expect(statusDocument.safeParse({ ...document, state: 'well' }).success).toBe(false);
  });

  test('a plan without a hash is none', () => {
    expect(planDocument.safeParse({ hash: '' }).success).toBe(false);
  });
});
