// The status API and the dashboard on one address. Given an open installation, promises to only read, to hold no lock, and to bound what any client
// can cost: headers, bodies, time, connections, memory.
import { chmodSync, existsSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import helmet from '@fastify/helmet';
import fastify, { type FastifyInstance } from 'fastify';
import { fail, messageOf } from '../model/failure.ts';
import { escapeControls } from '../report/sanitize.ts';
import { createScrubber, scrubValue } from '../report/scrub.ts';
import type { UpdateManager } from '../update-manager.ts';
import { serveApi } from './api.ts';
import { startDeliverer } from './deliverer.ts';
import { guard } from './guard.ts';
import { addressText, ownHosts, type ListenAddress } from './listen-address.ts';
import { servePage } from './page.ts';
import { problemOf } from './problems.ts';

export interface ServerOptions {
  readonly manager: UpdateManager;
  readonly address: ListenAddress;
  /** Names under which a proxy passes requests on. */
  readonly allowedHosts: readonly string[];
  /** Hears of what went wrong inside; told to no client. */
  readonly onProblem: (message: string) => void;
}

export interface RunningServer {
  /** As people open it. */
  readonly url: string;
  close(): Promise<void>;
}

/** Throws SERVE_ADDRESS_TAKEN. */
export async function startServer({ manager, address, allowedHosts, onProblem }: ServerOptions): Promise<RunningServer> {
  const scrub = createScrubber(manager.config.secrets);
  const clean = (text: string): string => escapeControls(scrub(text));
  const tell = (error: unknown): void => onProblem(clean(messageOf(error)));
  const observer = await manager.observe();
  let hosts: readonly string[] = [];
  const app = fastify({
    logger: false,
    trustProxy: false,
    bodyLimit: 1_024,
    exposeHeadRoutes: true,
    // Slow clients: so long for the headers, so long for all of a request.
    http: { headersTimeout: 10_000, requestTimeout: 20_000, connectionsCheckingInterval: 1_000, maxHeaderSize: 16_384 },
    keepAliveTimeout: 5_000,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 64 },
    return503OnClosing: true,
  });
  app.server.maxConnections = 1_024;
  answerProblems(app, clean, tell);
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
        requireTrustedTypesFor: ["'script'"],
      },
    },
    // Whoever adds TLS in front decides about that.
    strictTransportSecurity: false,
    referrerPolicy: { policy: 'no-referrer' },
  });
  await guard(app, { state: manager.config.state, hosts: () => hosts });
  const feed = serveApi(app, { manager, observer, clean, onProblem: tell });
  servePage(app);
  const port = await listen(app, address);
  const endDelivering = startDeliverer(manager, observer, tell);
  hosts = [...ownHosts(address, port), ...allowedHosts.map((host) => host.toLowerCase())];
  return {
    url: addressText(address, port),
    async close() {
      feed.close();
      await endDelivering();
      await app.close();
      await observer.close();
    },
  };
}

function answerProblems(app: FastifyInstance, clean: (text: string) => string, tell: (error: unknown) => void): void {
  app.setErrorHandler(async (error, request, reply) => {
    const { status, body } = problemOf(error);
    if (status === 500) tell(error);
    if (status === 401) reply.header('www-authenticate', 'Bearer realm="rungs"');
    if (status === 405) reply.header('allow', 'GET, HEAD');
    reply.header('cache-control', 'no-store');
    return reply
      .code(status)
      .type('application/json; charset=utf-8')
      .send(JSON.stringify(scrubValue(body, clean)));
  });
  app.setNotFoundHandler(async (request) => {
    throw fail('API_NOT_FOUND', { path: request.url.slice(0, 200) });
  });
}

async function listen(app: FastifyInstance, address: ListenAddress): Promise<number> {
  try {
    if (address.kind === 'unix') {
      await removeStaleSocket(address.path);
      await app.listen({ path: address.path });
      // The folder says who gets this far; the token says who is answered.
      chmodSync(address.path, 0o660);
      return 0;
    }
    await app.listen({ host: address.host, port: address.port });
    const bound = app.server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : address.port;
  } catch (error) {
    throw fail(
      'SERVE_ADDRESS_TAKEN',
      { address: addressText(address, address.kind === 'tcp' ? address.port : 0), why: messageOf(error) },
      {},
      error,
    );
  }
}

/** What a killed server left behind. One that answers is left alone, and so is whatever is no socket. */
async function removeStaleSocket(file: string): Promise<void> {
  if (!existsSync(file) || !statSync(file).isSocket()) return;
  const isAnswered = await new Promise<boolean>((resolve) => {
    const probe = connect(file, () => {
      probe.destroy();
      resolve(true);
    }).once('error', () => resolve(false));
  });
  if (!isAnswered) rmSync(file, { force: true });
}
