// The dashboard's files, as Vite built them: read once, so that no path of a request ever reaches the disk.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import type { FastifyInstance } from 'fastify';
import { fail } from '../model/failure.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

interface PageFile {
  readonly url: string;
  readonly type: string;
  readonly plain: Buffer;
  readonly gzipped: Buffer;
  readonly etag: string;
}

export function servePage(app: FastifyInstance): void {
  for (const { url, type, plain, gzipped, etag } of readPage()) {
    app.get(url, { config: { scope: null } }, async (request, reply) => {
      // Names of the others change with their contents.
      reply.header('cache-control', url === '/' ? 'no-cache' : 'public, max-age=31536000, immutable');
      reply.header('etag', etag).header('vary', 'accept-encoding').type(type);
      if (request.headers['if-none-match'] === etag) return reply.code(304).send();
      const isGzip = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
      return isGzip ? reply.header('content-encoding', 'gzip').send(gzipped) : reply.send(plain);
    });
  }
}

function readPage(): readonly PageFile[] {
  const folder = folders().find((one) => existsSync(path.join(one, 'index.html')));
  if (folder === undefined) throw fail('INTERNAL', { error: 'the dashboard was not built: node scripts/build.mjs' });
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const type = types[path.extname(entry.name)];
    if (!entry.isFile() || type === undefined) return [];
    const file = path.join(entry.parentPath, entry.name);
    const plain = readFileSync(file);
    const name = path.relative(folder, file).split(path.sep).join('/');
    return {
      url: name === 'index.html' ? '/' : `/${name}`,
      type,
      plain,
      gzipped: gzipSync(plain, { level: 9 }),
      etag: `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`,
    };
  });
}

/** Beside the bundle; from the sources what was built last. */
function folders(): readonly string[] {
  const here = import.meta.dirname;
  return [path.join(here, 'dashboard'), path.resolve(here, '../../dist/dashboard')];
}
