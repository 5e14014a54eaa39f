// What the status API answers, asked of the real server while the real command works beside it.
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import * as z from 'zod/mini';
import {
  backupsDocument,
  graphDocument,
  logDocument,
  runDocument,
  runsDocument,
  servicesDocument,
} from '../../../schemas/api-documents.ts';
import { planDocument } from '../../../schemas/plan-document.ts';
import { statusDocument } from '../../../schemas/status-document.ts';
import { makeSmall, type Small } from '../cli/installation.ts';
import { startServe, type Served } from './server.ts';

let small: Small;
let served: Served;

beforeEach(async () => {
  small = makeSmall({ fails: true });
  served = await startServe(small);
});
afterEach(async () => {
  await served.stop();
  rmSync(small.dir, { recursive: true, force: true });
});

test('every document has its shape, before anything was run, after an upgrade, and after one that was rolled back', async () => {
  const look = async () => {
    const { runs } = z.parse(runsDocument, await served.json('/api/v1/runs'));
    for (const { id } of runs) {
      z.parse(runDocument, await served.json(`/api/v1/runs/${id}`));
      z.parse(logDocument, await served.json(`/api/v1/runs/${id}/log`));
    }
    z.parse(planDocument, await served.json('/api/v1/plan?to=2.0.0'));
    z.parse(graphDocument, await served.json('/api/v1/graph'));
    z.parse(backupsDocument, await served.json('/api/v1/backups'));
    z.parse(servicesDocument, await served.json('/api/v1/services'));
    return z.parse(statusDocument, await served.json('/api/v1/status'));
  };
  expect(await look()).toMatchObject({ version: '1.0.0', latest: '3.0.0', state: 'pending', run: null, lastRun: null });
  expect((await small.upgrade(['--to', '1.1.0'])).code).toBe(0);
  expect(await look()).toMatchObject({ version: '1.1.0', lastRun: { outcome: 'committed' } });
  expect((await small.upgrade(['--to', '3.0.0'])).code).toBe(10);
  expect(await look()).toMatchObject({
    version: '1.1.0',
    lastRun: { outcome: 'rolled-back', failure: { step: 'v2.0.0_to_v3.0.0/001_fails' } },
  });
  const [run] = z.parse(runsDocument, await served.json('/api/v1/runs')).runs;
  const { steps, failures, next } = z.parse(runDocument, await served.json(`/api/v1/runs/${run?.id}`));
  expect(steps.map(({ status }) => status)).toEqual(['reverted', 'reverted']);
  expect(failures[0]).toMatchObject({ code: 'STEP_FAILED', log: ['about to fail'] });
  expect(next).toBe(`upgrade history ${run?.id}`);
});
