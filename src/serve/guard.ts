// Who may ask: the exact host, no foreign page, a token with the scope that the route asks for, and not too often. Runs before anything else of a
// request is looked at.
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { fail } from '../model/failure.ts';
import { createTokenCheck, type Scope } from './tokens.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `null`: no token is needed. */
    readonly scope?: Scope | null;
  }
  interface FastifyRequest {
    tokenName: string | null;
  }
}

export interface GuardOptions {
  readonly state: string;
  /** The values of `Host` that mean us; known once it listens. */
  readonly hosts: () => readonly string[];
}

// Of one token: more than a dashboard or a scraper ever asks, and less than what starves the rest of the machine for long.
const mostPerSecond = 5_000;
const mostWrongPerMinute = 30;
/** Of what reads all migrations anew. */
export const seldom = { rateLimit: { max: 60, timeWindow: 60_000 } };

export async function guard(app: FastifyInstance, { state, hosts }: GuardOptions): Promise<void> {
  const check = createTokenCheck(state);
  app.decorateRequest('tokenName', null);
  await app.register(rateLimit, {
    global: true,
    max: mostPerSecond,
    timeWindow: 1_000,
    cache: 1_000,
    keyGenerator: (request) => keyOf(request),
    errorResponseBuilder: (_, { ttl }) => fail('API_TOO_MANY', { seconds: Math.ceil(ttl / 1_000) }),
  });
  const wrongTries = app.createRateLimit({ max: mostWrongPerMinute, timeWindow: 60_000, keyGenerator: (request) => `wrong:${request.ip}` });

  app.addHook('onRequest', async (request) => {
    const { host, origin } = request.headers;
    const own = hosts();
    if (host === undefined || !own.includes(host.toLowerCase())) throw fail('API_HOST', {});
    if (origin !== undefined && !own.some((name) => origin === `http://${name}` || origin === `https://${name}`))
      throw fail('API_ORIGIN', {});
    if (request.method !== 'GET' && request.method !== 'HEAD') throw fail('API_METHOD', { method: request.method });
    const { scope } = request.routeOptions.config;
    // A page that does not exist asks for a token too: nobody learns what there is.
    if (scope === null) return;
    const verdict = check(request.headers.authorization);
    if ('why' in verdict) {
      const tries = await wrongTries(request);
      if (!tries.isAllowed && tries.isExceeded) throw fail('API_TOO_MANY', { seconds: tries.ttlInSeconds });
      throw fail('API_UNAUTHORIZED', verdict);
    }
    if (scope !== undefined && !verdict.record.scopes.includes(scope)) throw fail('API_SCOPE', { scope });
    request.tokenName = verdict.record.name;
  });
}

function keyOf(request: FastifyRequest): string {
  return request.tokenName === null ? `from:${request.ip}` : `token:${request.tokenName}`;
}
