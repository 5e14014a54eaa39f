// Stands between a program and its Docker engine, and kills the program before or after the call that the test names: the engine has not had it
// yet, or has done it and nobody has heard.
import http from 'node:http';
import type { DockerEngine } from './docker-engine.ts';

export interface KillingProxy {
  /** For DOCKER_HOST. */
  readonly host: string;
  /** What changed something, in order: `POST rename`. */
  readonly calls: readonly string[];
  close(): Promise<void>;
}

/** Several may stand before one engine. */
let made = 0;

export async function startKillingProxy(
  engine: DockerEngine,
  { at, side, kill }: { readonly at: number; readonly side: 'before' | 'after'; readonly kill: () => void },
): Promise<KillingProxy> {
  const socket = `${engine.socket}.proxy-${(made += 1)}`;
  const calls: string[] = [];
  const server = http.createServer((request, response) => {
    const { method = 'GET', url = '/', headers } = request;
    const isChange = method !== 'GET';
    if (isChange) calls.push(`${method} ${/\/([a-z]+)(?:\?|$)/.exec(url)?.[1] ?? 'container'}`);
    const isLast = isChange && calls.length === at;
    if (isLast && side === 'before') {
      kill();
      request.destroy();
      return;
    }
    const onwards = http.request({ socketPath: engine.socket, method, path: url, headers }, (answer) => {
      if (isLast) {
        // Heard to its end: the engine has done it.
        answer.resume().once('end', kill);
        return;
      }
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    onwards.once('error', () => response.destroy());
    response.once('close', () => onwards.destroy());
    request.pipe(onwards);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    host: `unix://${socket}`,
    calls,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
