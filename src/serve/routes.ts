// What there is to ask: each route with the scope that its token needs, what may be said in the query, and the shape of the answer. The OpenAPI
// document is made of this list, and the server of the same.
import * as z from 'zod/mini';
import {
  backupsDocument,
  graphDocument,
  healthDocument,
  logDocument,
  migrationsStatusDocument,
  runDocument,
  runsDocument,
  servicesDocument,
} from '../../schemas/api-documents.ts';
import { planDocument } from '../../schemas/plan-document.ts';
import { say } from '../../schemas/shapes.ts';
import { statusDocument } from '../../schemas/status-document.ts';
import type { Scope } from './tokens.ts';

export interface Route {
  readonly id: string;
  /** As OpenAPI writes it. */
  readonly path: string;
  readonly summary: string;
  /** `null`: no token is needed. */
  readonly scope: Scope | null;
  readonly params: Readonly<Record<string, z.core.$ZodType>>;
  readonly query: Readonly<Record<string, z.core.$ZodType>>;
  readonly answer:
    | { readonly type: 'application/json'; readonly schema: z.core.$ZodType }
    | { readonly type: string; readonly about: string };
  /** Codes of failures that it may answer with, besides those of the guard. */
  readonly problems: readonly number[];
}

const runId = say('The id of a run.', z.string().check(z.regex(/^[0-9A-Za-z]{1,64}$/, 'the id of a run')));
const wholeNumber = (what: string) => z.string().check(z.regex(/^\d{1,15}$/, what));
const place = say(
  'The last event that was heard, as its "id" said it: run and number.',
  z.string().check(z.regex(/^[0-9A-Za-z]{1,64}:\d{1,15}$/)),
);
const json = (schema: z.core.$ZodType): Route['answer'] => ({ type: 'application/json', schema });
const route = (
  id: string,
  path: string,
  summary: string,
  answer: Route['answer'],
  rest: Partial<Pick<Route, 'scope' | 'params' | 'query' | 'problems'>> = {},
): Route => ({ id, path, summary, answer, scope: 'read', params: {}, query: {}, problems: [], ...rest });

export const routes = {
  status: route('status', '/api/v1/status', 'What is installed, pending and unfinished: "upgrade status --json".', json(statusDocument)),
  runs: route('runs', '/api/v1/runs', 'The runs so far.', json(runsDocument), {
    query: { limit: say('How many, 100 by default, 1,000 at most.', z.optional(wholeNumber('a whole number'))) },
    problems: [400],
  }),
  run: route('run', '/api/v1/runs/{id}', 'One run as it stands, also in the middle.', json(runDocument), {
    params: { id: runId },
    problems: [404],
  }),
  log: route('log', '/api/v1/runs/{id}/log', 'The log of a run, page by page.', json(logDocument), {
    scope: 'logs',
    params: { id: runId },
    query: {
      after: say('Where to begin: "next" of the page before.', z.optional(wholeNumber('a whole number'))),
      limit: say('How many lines, 500 by default, 2,000 at most.', z.optional(wholeNumber('a whole number'))),
    },
    problems: [400, 404],
  }),
  plan: route('plan', '/api/v1/plan', 'What an upgrade would do: "upgrade plan --json".', json(planDocument), {
    query: { to: say('The target; the highest that can be reached by default.', z.optional(z.string().check(z.maxLength(128)))) },
    problems: [422],
  }),
  graph: route('graph', '/api/v1/graph', 'All versions and transitions, with the way to the latest.', json(graphDocument)),
  backups: route('backups', '/api/v1/backups', 'The backups.', json(backupsDocument)),
  services: route('services', '/api/v1/services', 'Which services run now, and how the probes ended last.', json(servicesDocument)),
  events: route(
    'events',
    '/api/v1/events',
    'Server-sent events: "run" (an event of the journal, its id for Last-Event-ID), "status" (the status document when it changes), "progress" and "output" (while a run goes on).',
    { type: 'text/event-stream', about: 'Does not end by itself.' },
    { query: { after: z.optional(place) }, problems: [400] },
  ),
  migrations: route(
    'migrations',
    '/api/admin/migrations/status',
    'Where a ladder stands, in the shape of M.O.S.S.',
    json(migrationsStatusDocument),
    { query: { ladder: say('Needed where there are several.', z.optional(z.string().check(z.maxLength(128)))) }, problems: [400, 404] },
  ),
  metrics: route(
    'metrics',
    '/metrics',
    'For Prometheus.',
    { type: 'text/plain', about: 'The text format of Prometheus.' },
    { scope: 'metrics' },
  ),
  health: route('health', '/healthz', 'Whether the server answers.', json(healthDocument), { scope: null }),
  openapi: route('openapi', '/api/v1/openapi.json', 'This document.', { type: 'application/json', about: 'OpenAPI 3.1.' }, { scope: null }),
} as const satisfies Readonly<Record<string, Route>>;
