// Brings an image to the engine, out of a registry or a file, and says which id its name stands for. One that is there is not fetched again.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { fail, messageOf } from '../../model/failure.ts';
import type { NeededImage } from '../../model/plan.ts';
import type { PinnedImage } from '../../model/ports.ts';
import { readDockerConfig } from './endpoint.ts';
import type { Engine } from './engine.ts';
import { inspectImage } from './replace-container.ts';

interface Fetching {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((doneBytes: number, totalBytes: number | null) => void) | undefined;
}

/** A pull that says nothing for so long has come to a halt. */
const silenceMs = 120_000;
/** Of a whole pull or load; the run's own limit is mostly shorter. */
const longestMs = 6 * 3_600_000;

export async function fetchImage(engine: Engine, needed: NeededImage, fetching: Fetching): Promise<PinnedImage> {
  const { service, image, file, id: wanted } = needed;
  if (wanted === undefined) await checkFile(needed);
  const there = await inspectImage(engine, image);
  if (there !== null && (wanted === undefined || wanted === there.Id)) return { image, id: there.Id };
  // The name may mean another image by now.
  if (wanted !== undefined && (await inspectImage(engine, wanted)) !== null) return { image, id: wanted };
  await (file === null ? pull(engine, image, fetching) : load(engine, needed, file, fetching));
  const fetched = await inspectImage(engine, image);
  if (fetched !== null && wanted !== undefined && fetched.Id !== wanted) throw fail('IMAGE_GONE', { service, image, id: wanted });
  if (fetched !== null) return { image, id: fetched.Id };
  if (file !== null) throw fail('IMAGE_FILE_UNUSABLE', { service, file, why: `it does not hold ${image}` });
  throw fail('IMAGE_PULL_FAILED', { image, error: 'it is still not there after the pull' });
}

/** What is loaded must be what was planned. Once an image is pinned its id says so, and the file no longer counts. */
async function checkFile({ service, file, sha256 }: NeededImage): Promise<void> {
  if (file === null || sha256 === undefined || !existsSync(file)) return;
  const digest = createHash('sha256');
  try {
    for await (const piece of createReadStream(file, { highWaterMark: 1024 * 1024 })) digest.update(piece as Buffer);
  } catch (error) {
    throw fail('IMAGE_FILE_UNUSABLE', { service, file, why: messageOf(error) }, {}, error);
  }
  if (digest.digest('hex') !== sha256) throw fail('PLAN_FILES_CHANGED', { files: [file] });
}

async function pull(engine: Engine, image: string, { signal, onProgress }: Fetching): Promise<void> {
  const what = `pull image ${image}`;
  const options = { signal, timeoutMs: longestMs };
  await engine.call(
    what,
    async (docker, ending) => {
      const stream = await docker
        .pull(withTag(image), { authconfig: credentialsFor(image), abortSignal: ending })
        .catch((error: unknown) => {
          throw isEngines(error) ? fail('IMAGE_PULL_FAILED', { image, error: sentence(error) }, {}, error) : error;
        });
      await follow(stream, ending, onProgress).catch((error: unknown) => {
        throw ending.aborted ? error : fail('IMAGE_PULL_FAILED', { image, error: messageOf(error) }, {}, error);
      });
    },
    options,
  );
}

async function load(engine: Engine, { service }: NeededImage, file: string, { signal, onProgress }: Fetching): Promise<void> {
  await engine.call(
    `load image file ${file}`,
    async (docker, ending) => {
      const bytes = createReadStream(file);
      const readable = new Promise<never>((_, reject) => bytes.once('error', reject));
      const loading = docker
        .loadImage(bytes, { quiet: false, abortSignal: ending })
        .then(async (stream) => follow(stream, ending, onProgress));
      await Promise.race([loading, readable]).catch((error: unknown) => {
        const isOurs =
          !ending.aborted && (isEngines(error) || (error instanceof Error && !('code' in error && error.code === 'ECONNREFUSED')));
        throw isOurs ? fail('IMAGE_FILE_UNUSABLE', { service, file, why: sentence(error) }, {}, error) : error;
      });
    },
    { signal, timeoutMs: longestMs },
  );
}

interface ProgressLine {
  readonly id?: string;
  readonly error?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

/** Reads the engine's lines to their end. */
async function follow(stream: NodeJS.ReadableStream, ending: AbortSignal, onProgress: Fetching['onProgress']): Promise<void> {
  const layers = new Map<string, { readonly done: number; readonly total: number }>();
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), silenceMs);
  const stop = () => 'destroy' in stream && typeof stream.destroy === 'function' && stream.destroy(new Error('nothing came for too long'));
  silence.signal.addEventListener('abort', stop, { once: true });
  ending.addEventListener('abort', stop, { once: true });
  try {
    let rest = '';
    for await (const chunk of stream) {
      timer.refresh();
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const { id = '', error, progressDetail } = parseLine(line);
        if (error !== undefined) throw new Error(error);
        const { current, total } = progressDetail ?? {};
        if (current === undefined || total === undefined) continue;
        layers.set(id, { done: current, total });
        const all = [...layers.values()];
        onProgress?.(
          all.reduce((sum, { done }) => sum + done, 0),
          all.reduce((sum, layer) => sum + layer.total, 0),
        );
      }
    }
    const { error } = parseLine(rest);
    if (error !== undefined) throw new Error(error);
  } finally {
    clearTimeout(timer);
    ending.removeEventListener('abort', stop);
  }
}

function parseLine(line: string): ProgressLine {
  try {
    return JSON.parse(line) as ProgressLine;
  } catch {
    return {};
  }
}

/** Whether the registry has it, and lets us have it. `null`: it does; else what the engine says. */
export async function whyNotPullable(engine: Engine, image: string): Promise<string | null> {
  try {
    await engine.call(
      `ask the registry for ${image}`,
      async (docker) => docker.getImage(withTag(image)).distribution({ authconfig: credentialsFor(image) }),
      { timeoutMs: 20_000, patienceMs: 0 },
    );
    return null;
  } catch (error) {
    return messageOf(error)
      .replace(/^[A-Z_]+: /, '')
      .replace(/\.$/, '');
  }
}

/** Without a tag the engine would pull all tags. */
function withTag(image: string): string {
  return /(@sha256:[0-9a-f]+|:[^/]+)$/.test(image) ? image : `${image}:latest`;
}

function registryOf(image: string): string {
  const [first = ''] = image.split('/');
  const isHost = image.includes('/') && (first.includes('.') || first.includes(':') || first === 'localhost');
  return isHost ? first : 'https://index.docker.io/v1/';
}

interface Credentials {
  readonly username: string;
  readonly password: string;
  readonly serveraddress: string;
}

/** What `docker login` left: in its file, or with a helper. */
function credentialsFor(image: string): Credentials | undefined {
  const server = registryOf(image);
  const { auths, credHelpers, credsStore } = readDockerConfig() as {
    readonly auths?: Readonly<Record<string, { readonly auth?: string }>>;
    readonly credHelpers?: Readonly<Record<string, string>>;
    readonly credsStore?: string;
  };
  const helper = credHelpers?.[server] ?? credsStore;
  if (helper !== undefined) {
    const { status, stdout } = spawnSync(`docker-credential-${helper}`, ['get'], { input: server, encoding: 'utf8', timeout: 10_000 });
    if (status === 0) {
      const { Username, Secret } = JSON.parse(stdout) as { readonly Username: string; readonly Secret: string };
      return { username: Username, password: Secret, serveraddress: server };
    }
  }
  const auth = auths?.[server]?.auth ?? auths?.[`https://${server}`]?.auth;
  if (auth === undefined) return undefined;
  const [username = '', ...password] = Buffer.from(auth, 'base64').toString('utf8').split(':');
  return { username, password: password.join(':'), serveraddress: server };
}

function isEngines(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'statusCode' in error && typeof error.statusCode === 'number';
}

function sentence(error: unknown): string {
  return messageOf(error)
    .replace(/^\(HTTP code \d+\) [^-]*- /, '')
    .trim();
}
