// The routes' answers, out of the installation that the manager has open. Each is kept as text until something has changed.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod/mini';
import { fail, UpgradeError } from '../model/failure.ts';
import { planDocument } from '../plan/plan-document.ts';
import type { Scrub } from '../report/reporter.ts';
import { scrubValue } from '../report/scrub.ts';
import type { Observer, UpdateManager } from '../update-manager.ts';
import { createAnswers } from './answers.ts';
import { createFeed, type Feed } from './feed.ts';
import { seldom } from './guard.ts';
import { createLogTail, logFileOf, readLogPage } from './log-tail.ts';
import { openApiDocument } from './openapi.ts';
import { routes, type Route } from './routes.ts';
import { stream, type Place } from './stream.ts';

export interface ApiOptions {
  readonly manager: UpdateManager;
  readonly observer: Observer;
  readonly clean: Scrub;
  readonly onProblem: (error: unknown) => void;
}

// What is outside of the journal and dear to look at.
const slowAgeMs = 5_000;
const mostFollowers = 256;

export function serveApi(app: FastifyInstance, { manager, observer, clean, onProblem }: ApiOptions): Feed {
  const answers = createAnswers(observer, clean);
  const { state } = manager.config;
  const status = async (): Promise<unknown> => {
    const { problems, ...rest } = await manager.status();
    return problems.length === 0 ? rest : { ...rest, problems };
  };
  const feed = createFeed({
    observer,
    answers,
    status,
    clean,
    onProblem,
    logTail: (runId) => createLogTail(logFileOf(state, runId)),
  });
  const get = (
    route: Route,
    key: (request: FastifyRequest) => string,
    make: (request: FastifyRequest) => Promise<unknown>,
    maxAgeMs?: number,
  ) =>
    app.get(pathOf(route), { config: { scope: route.scope, ...(maxAgeMs === undefined ? {} : seldom) } }, async (request, reply) => {
      const { text, etag } = await answers.get(key(request), () => make(request), maxAgeMs);
      return sendAnswer(request, reply, text, etag);
    });
  const same = (key: string) => (): string => key;

  get(routes.status, same('status'), status);
  get(
    routes.runs,
    (request) => `runs ${limitOf(request, routes.runs, 100, 1_000)}`,
    async (request) => ({ runs: await manager.recentRuns(limitOf(request, routes.runs, 100, 1_000)) }),
  );
  get(
    routes.run,
    (request) => `run ${idOf(request)}`,
    (request) => manager.runSoFar(idOf(request)),
  );
  get(
    routes.plan,
    (request) => `plan ${queryOf(request, routes.plan).to ?? ''}`,
    (request) => plan(manager, queryOf(request, routes.plan).to),
    slowAgeMs,
  );
  get(routes.graph, same('graph'), () => manager.versionGraph());
  get(routes.backups, same('backups'), async () => ({ backups: await manager.listBackups() }));
  get(routes.services, same('services'), () => manager.serviceStates(), slowAgeMs);
  get(
    routes.migrations,
    (request) => `migrations ${queryOf(request, routes.migrations).ladder ?? ''}`,
    (request) => manager.migrationsStatus(queryOf(request, routes.migrations).ladder),
  );

  app.get(pathOf(routes.log), { config: { scope: 'logs' } }, async (request, reply) => {
    const { after = '0' } = queryOf(request, routes.log);
    const id = idOf(request);
    if (!(await manager.hasRun(id))) throw fail('RUN_UNKNOWN', { id });
    const page = readLogPage(logFileOf(state, id), Number(after), limitOf(request, routes.log, 500, 2_000));
    return sendJson(reply, JSON.stringify(scrubValue(page, clean)));
  });
  const document = JSON.stringify(openApiDocument());
  app.get(pathOf(routes.openapi), { config: { scope: null } }, async (_, reply) => sendJson(reply, document));
  app.get(pathOf(routes.health), { config: { scope: null } }, async (_, reply) => sendJson(reply, '{"ok":true}'));

  app.get(pathOf(routes.metrics), { config: { scope: 'metrics' } }, async (_, reply) => {
    const { text } = await answers.get('metrics', () => manager.metrics());
    // Kept as JSON like all answers.
    return reply.header('cache-control', 'no-store').type('text/plain; version=0.0.4; charset=utf-8').send(JSON.parse(text));
  });

  let followers = 0;
  app.get(pathOf(routes.events), { config: { scope: 'read' } }, async (request, reply) => {
    const header = request.headers['last-event-id'];
    const after = typeof header === 'string' ? header : queryOf(request, routes.events).after;
    const place = after === undefined ? null : placeOf(after);
    if (followers >= mostFollowers) throw fail('API_TOO_MANY_CLIENTS', { most: mostFollowers });
    followers += 1;
    reply.raw.once('close', () => (followers -= 1));
    reply.hijack();
    reply.raw.writeHead(200, {
      ...Object.fromEntries(Object.entries(reply.getHeaders()).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    await stream(reply.raw, feed, place).catch((error: unknown) => {
      onProblem(error);
      reply.raw.destroy();
    });
  });
  return feed;
}

function sendAnswer(request: FastifyRequest, reply: FastifyReply, text: string, etag: string): FastifyReply {
  reply.header('etag', etag).header('cache-control', 'no-store');
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  return reply.type('application/json; charset=utf-8').send(text);
}

function sendJson(reply: FastifyReply, text: string): FastifyReply {
  return reply.header('cache-control', 'no-store').type('application/json; charset=utf-8').send(text);
}

async function plan(manager: UpdateManager, to: string | undefined): Promise<unknown> {
  const prepared = await manager.plan(to === undefined || to === '' ? {} : { to });
  const { backup } = prepared;
  const {
    from,
    to: target,
    hash,
    transitions,
    restarts,
    ladders,
    findings,
  } = planDocument(prepared, {
    findings: await manager.preflight(prepared),
    backup,
    services: Object.keys(manager.config.services),
  });
  return { from, to: target, hash, transitions, restarts, backup, ladders, findings };
}

/** `/runs/{id}` as the router writes it. */
function pathOf({ path }: Route): string {
  return path.replace(/\{(\w+)\}/g, ':$1');
}

function queryOf<R extends Route>(request: FastifyRequest, { query }: R): { readonly [K in keyof R['query']]: string | undefined } {
  const parsed = z.safeParse(z.strictObject({ ...query }), request.query);
  if (parsed.success) return parsed.data as { readonly [K in keyof R['query']]: string | undefined };
  const [issue] = parsed.error.issues;
  throw fail('API_REQUEST', { problem: `${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim() });
}

function limitOf(request: FastifyRequest, route: Route, usual: number, most: number): number {
  const { limit } = queryOf(request, route);
  return limit === undefined ? usual : Math.max(1, Math.min(most, Number(limit)));
}

function idOf(request: FastifyRequest): string {
  const parsed = z.safeParse(z.object(routes.run.params), request.params);
  if (!parsed.success) throw fail('API_REQUEST', { problem: 'that is not the id of a run' });
  return String(parsed.data.id);
}

function placeOf(after: string): Place {
  const [, runId, seq] = /^([0-9A-Za-z]{1,64}):(\d{1,15})$/.exec(after) ?? [];
  if (runId === undefined) throw new UpgradeError([...fail('API_REQUEST', { problem: 'Last-Event-ID is not one of ours' }).failures]);
  return { runId, seq: Number(seq) };
}
