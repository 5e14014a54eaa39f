// The OpenAPI document is valid, tells every path that is answered, and a client that is generated from it gets what it says.
import { Validator } from '@seriousme/openapi-schema-validator';
import { OpenAPIClientAxios, type Document } from 'openapi-client-axios';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { runDocument } from '../../../schemas/api-documents.ts';
import { planDocument } from '../../../schemas/plan-document.ts';
import { statusDocument } from '../../../schemas/status-document.ts';
import { openApiDocument } from '../../../src/serve/openapi.ts';
import { makeScene, type Scene } from './scene.ts';
import { startServe, type Served } from './server.ts';

let scene: Scene;
let served: Served;
let document: Document;

beforeAll(async () => {
  scene = makeScene({ steps: 2 });
  scene.go('fail');
  await scene.upgrade(['--to', '3.0.0', '--yes']);
  served = await startServe(scene);
  document = await served.json<Document>('/api/v1/openapi.json', { token: null });
});
afterAll(async () => {
  await served.stop();
  scene.remove();
});

test('it is valid, and is the one that the routes make', async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(document) as never);
  expect(errors ?? []).toEqual([]);
  expect(valid).toBe(true);
  expect(document).toEqual(JSON.parse(JSON.stringify(openApiDocument())));
});

test('the validator would have found a mistake', async () => {
  const wrong = structuredClone(document) as unknown as { paths: Record<string, { get: { responses?: unknown } }> };
  delete wrong.paths['/api/v1/status']?.get.responses;
  Object.assign(wrong, { openapi: '3.1.0', info: {} });
  expect((await new Validator().validate(wrong as never)).valid).toBe(false);
});

test('a generated client has a method for each path, and each answers', async () => {
  const api = new OpenAPIClientAxios({
    definition: { ...document, servers: [{ url: served.url }] },
    axiosConfigDefaults: { headers: { authorization: `Bearer ${served.token}` } },
  });
  const client = await api.init();
  const call = async (
    name: string,
    parameters: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly status: number; readonly data: unknown }> => {
    const method = client[name];
    if (method === undefined) throw new Error(`the client has no ${name}`);
    return method(parameters);
  };
  const { data: status } = await call('status');
  expect(z.parse(statusDocument, status)).toMatchObject({ product: 'small', version: '1.0.0' });
  const { data: list } = (await call('runs', { limit: '1' })) as { data: { runs: readonly { id: string }[] } };
  const id = list.runs[0]?.id ?? '';
  const { data: run } = await call('run', { id });
  expect(z.parse(runDocument, run)).toMatchObject({ id, outcome: 'rolled-back' });
  const { data: plan } = await call('plan', { to: '2.0.0' });
  expect(z.parse(planDocument, plan)).toMatchObject({ from: '1.0.0', to: '2.0.0' });
  const others = ['log', 'graph', 'backups', 'services', 'metrics', 'health', 'openapi'];
  for (const name of others) expect([name, (await call(name, name === 'log' ? { id } : {})).status]).toEqual([name, 200]);
  expect(Object.values(document.paths ?? {}).map((path) => path?.get?.operationId)).toEqual(
    expect.arrayContaining(['status', 'runs', 'run', 'plan', 'events', 'migrations', ...others]),
  );
  // A client learns what went wrong in the way that the document says.
  await expect(call('plan', { to: 'not a version' })).rejects.toMatchObject({
    response: { data: { failure: { code: expect.any(String), hint: expect.any(String) } } },
  });
});
