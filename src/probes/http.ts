// Asks an HTTP address and compares status, headers, JSON and body with what is expected.
// Follows redirects on the same host only, and reads no more than a megabyte.
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { RequestOptions } from 'node:https';
import { isDeepStrictEqual } from 'node:util';
import { jsonAt } from './json-pointer.ts';
import type { ProbeContext, ProbeOf } from './registry.ts';
import { show } from './show.ts';

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

type Trust = Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>;
type AskOptions = Trust & { readonly signal: AbortSignal };

const mostBytes = 1024 * 1024;
const mostRedirects = 5;

export async function probeHttp({ url, expect, tls }: ProbeOf<'http'>, { signal }: ProbeContext): Promise<string | null> {
  const answer = await ask(new URL(url), expect.status, { signal, ...(await trust(tls)) });
  const wrong = [
    ...statusProblems(answer, expect.status),
    ...headerProblems(answer, expect.headers),
    ...jsonProblems(answer, expect.json),
    ...bodyProblems(answer, expect.body),
  ];
  return wrong.length === 0 ? null : `${url} ${wrong.join('; ')}`;
}

/** Read for each attempt: a step, or somebody who mends it, may write them. */
async function trust(tls: ProbeOf<'http'>['tls']): Promise<Trust> {
  if (tls === null) return {};
  const { caFile, client, serverName, isInsecure } = tls;
  return {
    ...(caFile === null ? {} : { ca: await readFile(caFile) }),
    ...(client === null ? {} : { cert: await readFile(client.certFile), key: await readFile(client.keyFile) }),
    ...(serverName === null ? {} : { servername: serverName }),
    ...(isInsecure ? { rejectUnauthorized: false } : {}),
  };
}

async function ask(url: URL, expected: number, options: AskOptions): Promise<Answer> {
  let at = url;
  for (let hops = 0; ; hops += 1) {
    const answer = await askOnce(at, options);
    const { location } = answer.headers;
    if (answer.status === expected || answer.status < 300 || answer.status > 399 || location === undefined) return answer;
    const next = new URL(location, at);
    if (next.host !== url.host || !/^https?:$/.test(next.protocol) || hops >= mostRedirects) return answer;
    at = next;
  }
}

async function askOnce(url: URL, options: AskOptions): Promise<Answer> {
  const { request } = url.protocol === 'https:' ? await import('node:https') : await import('node:http');
  return new Promise<Answer>((resolve, reject) => {
    // No agent: a kept connection would lead to the old process, and keep ours alive.
    const asked = request(
      url,
      { ...options, agent: false, headers: { accept: '*/*', 'user-agent': 'rungs', connection: 'close' } },
      (response) => {
        readBody(response).then((body) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }), reject);
      },
    );
    asked.on('error', (error) => reject(new Error(`${url.host} ${connectionProblem(error)}`, { cause: error })));
    asked.end();
  });
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= mostBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, mostBytes).toString('utf8');
}

function connectionProblem(error: NodeJS.ErrnoException): string {
  // Node gathers the failures of several addresses (IPv4 and IPv6) in an error without a text of its own.
  const code =
    error.code ??
    (error instanceof AggregateError
      ? error.errors.map(({ code: one }: NodeJS.ErrnoException) => one).find((one) => one !== undefined)
      : undefined);
  if (code === 'ECONNREFUSED') return 'refuses the connection (nothing listens there)';
  if (code === 'ECONNRESET') return 'closed the connection without an answer';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'is not known by that name';
  // What the other side complains of: it wants a certificate of ours.
  if (code !== undefined && /^ERR_SSL_.*ALERT.*(CERT|UNKNOWN_CA)/.test(code))
    return code.endsWith('CERTIFICATE_REQUIRED')
      ? 'wants a certificate of ours: give it one by tls.client'
      : 'does not accept our certificate';
  if (code !== undefined && (/CERT|SIGNATURE|ISSUER/.test(code) || code === 'ERR_TLS_CERT_ALTNAME_INVALID'))
    return `shows a certificate that is not trusted: ${error.message}`;
  return `cannot be asked: ${error.message === '' ? (code ?? error.name) : error.message}`;
}

function statusProblems({ status, body }: Answer, expected: number): readonly string[] {
  if (status === expected) return [];
  const said = body.trim() === '' ? '' : ` (${show(body.trim())})`;
  return [`answered ${status}, expected ${expected}${said}`];
}

function headerProblems({ headers }: Answer, expected: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(expected).flatMap(([name, value]) => {
    const seen = headers[name.toLowerCase()];
    const text = Array.isArray(seen) ? seen.join(', ') : seen;
    return text === value ? [] : [`header ${name} is ${show(text)}, expected ${show(value)}`];
  });
}

function jsonProblems({ body }: Answer, expected: Readonly<Record<string, unknown>>): readonly string[] {
  const pointers = Object.entries(expected);
  if (pointers.length === 0) return [];
  let document: unknown;
  try {
    document = JSON.parse(body);
  } catch {
    return [`did not answer with JSON but with ${show(body.slice(0, 100))}`];
  }
  return pointers.flatMap(([pointer, value]) => {
    const seen = jsonAt(document, pointer);
    return isDeepStrictEqual(seen, value) ? [] : [`${pointer} is ${show(seen)}, expected ${show(value)}`];
  });
}

function bodyProblems({ body }: Answer, pattern: string | null): readonly string[] {
  if (pattern === null || new RegExp(pattern, 'u').test(body)) return [];
  return [`body does not match /${pattern}/: ${show(body)}`];
}
