// Images without a registry: each is a folder with a static busybox and a script, imported into a test's engine.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { DockerEngine } from './docker-daemon.ts';

/** What the container does; written in busybox's shell. `well` is a file whose presence the health check asks for. */
export const behaviours = {
  /** Serves on port 80 at once, and says so. */
  healthy: { script: 'serve' },
  /** Serves, and its health check never passes. */
  neverHealthy: { script: 'serve', check: 'echo "not ready" >&2; exit 1' },
  healthyThenUnhealthy: { script: 'start_serving; sleep "${AFTER:-1}"; echo "lost its database" >&2; rm /tmp/well; wait' },
  exitsAtOnce: { script: 'echo "cannot start: no settings" >&2; exit 3' },
  /** AFTER seconds well, then gone. */
  diesLater: { script: 'start_serving; sleep "${AFTER:-1}"; echo "out of luck" >&2; exit 4' },
  /** Healthy only after AFTER seconds. */
  slow: { script: 'sleep "${AFTER:-1}"; serve' },
  /** Lives through SIGTERM: it takes its whole grace period to stop. */
  stubborn: { script: 'trap "" TERM; start_serving; while :; do wait; done' },
} as const satisfies Readonly<Record<string, Behaviour>>;

interface Behaviour {
  readonly script: string;
  /** A shell's command; default: asks the server, and that it calls itself well. */
  readonly check?: string;
}

export interface ImageOptions extends Partial<Behaviour> {
  /** Default `healthy`. */
  readonly behaviour?: keyof typeof behaviours;
  /** `false`: an image without a health check. */
  readonly hasHealthCheck?: boolean;
  /** What it serves as `/version`; default: the tag. */
  readonly version?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** More lines as in a Dockerfile: EXPOSE, VOLUME, USER, WORKDIR, STOPSIGNAL, ENTRYPOINT, CMD… */
  readonly changes?: readonly string[];
}

/** Makes the image `tag` in the engine; resolves to its id. */
export async function makeImage(engine: DockerEngine, tag: string, options: ImageOptions = {}): Promise<string> {
  const {
    behaviour = 'healthy',
    hasHealthCheck = true,
    version = tag.split(':')[1] ?? 'latest',
    env = {},
    labels = {},
    changes = [],
  } = options;
  const { script, check = serverCheck }: Behaviour = { ...behaviours[behaviour], ...options };
  const lines = [
    `ENV PATH=/bin VERSION=${JSON.stringify(version)}`,
    ...Object.entries(env).map(([key, value]) => `ENV ${key}=${JSON.stringify(value)}`),
    ...Object.entries(labels).map(([key, value]) => `LABEL ${key}=${JSON.stringify(value)}`),
    `CMD ${JSON.stringify(['sh', '-c', `. /lib/server.sh; ${script}`])}`,
    ...(hasHealthCheck ? [`HEALTHCHECK --interval=200ms --timeout=10s --retries=2 CMD ${JSON.stringify(['sh', '-c', check])}`] : []),
    ...changes,
  ];
  return engine.docker('import', ...lines.flatMap((line) => ['--change', line]), baseArchive(engine), tag);
}

const serverCheck = 'test -e /tmp/well && wget -q -O /dev/null http://127.0.0.1:${PORT:-80}/version';

// `wait` in the foreground: a shell that is a container's first process hears SIGTERM only so.
const serverScript = `
trap 'echo "asked to stop"; exit 0' TERM
start_serving() {
  echo "$VERSION" > /www/version
  httpd -f -p "\${PORT:-80}" -h /www &
  touch /tmp/well
  echo "serving $VERSION"
}
serve() { start_serving; wait; }
`;

/** A tar of the root folder that all images share; made once per engine, in its folder, which goes with it. */
function baseArchive({ socket }: DockerEngine): string {
  const dir = path.join(path.dirname(socket), 'images');
  const archive = path.join(dir, 'base.tar');
  if (existsSync(archive)) return archive;
  const root = path.join(dir, 'root');
  for (const folder of ['bin', 'lib', 'www', 'tmp', 'etc', 'dev', 'proc', 'sys', 'data'])
    mkdirSync(path.join(root, folder), { recursive: true });
  chmodSync(path.join(root, 'tmp'), 0o1777);
  chmodSync(path.join(root, 'www'), 0o777);
  const busybox = execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
  copyFileSync(busybox, path.join(root, 'bin/busybox'));
  for (const applet of execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n'))
    if (applet !== 'busybox') symlinkSync('busybox', path.join(root, 'bin', applet));
  writeFileSync(path.join(root, 'lib/server.sh'), serverScript);
  writeFileSync(path.join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n');
  execFileSync('tar', ['--numeric-owner', '--owner=0', '--group=0', '-cf', archive, '-C', root, '.']);
  return archive;
}
