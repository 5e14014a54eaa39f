// The real `upgrade serve` on a small installation, a token for it, and ways to ask it. Ends with the test.
import { spawn, type ChildProcess } from 'node:child_process';
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { environment, executable, type Small } from '../cli/installation.ts';

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

export interface Asked {
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  /** `null`: none. */
  readonly token?: string | null;
}

export interface Served {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly token: string;
  /** Everything that it said on stderr. */
  readonly said: () => string;
  ask(path: string, options?: Asked): Promise<Reply>;
  json<T = Record<string, unknown>>(path: string, options?: Asked): Promise<T>;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

type Installed = Pick<Small, 'root' | 'upgrade'>;

const startWithinMs = 60_000;

/** `port`: 0 takes any that is free. */
export async function startServe(
  installed: Installed,
  {
    port = 0,
    token,
    args = [],
    env = {},
  }: {
    readonly port?: number;
    readonly token?: string;
    readonly args?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<Served> {
  const own = token ?? (await makeToken(installed, `test-${process.pid}-${(names += 1)}`, [], env));
  const child = spawn(process.execPath, [executable, 'serve', '--json', '--listen', `127.0.0.1:${port}`, ...args], {
    cwd: installed.root,
    env: environment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const url = await firstLine(child, () => said);
  const bound = Number(new URL(url).port);
  const ask: Served['ask'] = (path, options = {}) => askAt(bound, path, { token: own, ...options });
  return {
    url,
    port: bound,
    pid: child.pid ?? 0,
    token: own,
    said: () => said,
    ask,
    async json<T>(path: string, options?: Asked) {
      const { status, body } = await ask(path, options);
      if (status !== 200) throw new Error(`${path}: ${status} ${body}`);
      return JSON.parse(body) as T;
    },
    stop: (signal = 'SIGTERM') =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve(child.exitCode);
        child.once('exit', (code) => resolve(code));
        child.kill(signal);
      }),
  };
}

let names = 0;

export async function makeToken(
  installed: Installed,
  name: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { code, stdout, stderr } = await installed.upgrade(['token', 'create', name, ...args], { env });
  if (code !== 0) throw new Error(`upgrade token create: ${stderr}`);
  return stdout.trim();
}

/** Written by hand: what `fetch` does not let anybody send is what is to be tried. */
export function askAt(port: number, path: string, { headers = {}, method = 'GET', token = null }: Asked): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
        headers: { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...headers },
        agent: false,
      },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
        response.on('error', reject);
      },
    );
    asked.setTimeout(30_000, () => asked.destroy(new Error(`${path}: no answer`)));
    asked.on('error', reject);
    asked.end();
  });
}

function firstLine(child: ChildProcess, said: () => string): Promise<string> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => reject(new Error(`upgrade serve did not begin: ${said()}`)), startWithinMs);
    child.once('exit', (code) => reject(new Error(`upgrade serve ended with ${code}: ${said()}`)));
    if (child.stdout === null) throw new Error('no stdout');
    createInterface({ input: child.stdout }).once('line', (line) => {
      clearTimeout(deadline);
      resolve((JSON.parse(line) as { listening: string }).listening);
    });
  });
}
