// An installation at 0.1.0 whose services are containers of a test's engine, and what a container is, apart from what every start changes.
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import type { UpgradeEvent } from '../../../src/model/event.ts';
import type { ResultDocument } from '../../../src/model/run.ts';
import { UpdateManager } from '../../../src/update-manager.ts';
import type { DockerEngine } from '../../support/docker-engine.ts';

export interface Installation {
  readonly root: string;
  readonly configFile: string;
  readonly version: () => string;
  readonly write: (file: string, text: string) => void;
  readonly read: (file: string) => string;
  readonly run: (options?: {
    readonly to?: string;
    readonly allowDowngrade?: boolean;
    readonly onEvent?: OnEvent;
  }) => Promise<ResultDocument>;
}

type OnEvent = (event: UpgradeEvent) => void;

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** `services` and `images` as YAML: of upgrade.yaml, and of the transition from 0.1.0 to 0.2.0. */
export function makeInstallation({
  services,
  images,
  verify = '[]',
  config = `verify: ${verify}\n`,
}: {
  readonly services: string;
  readonly images?: string;
  readonly verify?: string;
  /** More of upgrade.yaml, in place of `verify`. */
  readonly config?: string;
}): Installation {
  const root = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'rungs-containers-')));
  folders.push(root);
  const write = (file: string, text: string): void => {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  };
  write('VERSION', '0.1.0\n');
  write('data/kept.txt', 'kept\n');
  write('upgrade.yaml', `product: containers\nversion: { file: VERSION }\nservices: ${services}\n${config}`);
  if (images !== undefined) write('migrations/v0.1.0_to_v0.2.0/transition.yaml', `images: ${images}\n`);
  write(
    'migrations/v0.1.0_to_v0.2.0/001_change.sh',
    'case "$1" in forward) echo new > data/made.txt ;; backward) rm -f data/made.txt ;; esac\n',
  );
  const configFile = path.join(root, 'upgrade.yaml');
  return {
    root,
    configFile,
    write,
    read: (file) => readFileSync(path.join(root, file), 'utf8'),
    version: () => readFileSync(path.join(root, 'VERSION'), 'utf8').trim(),
    async run({ to, allowDowngrade, onEvent } = {}) {
      const manager = await UpdateManager.open({ config: configFile });
      if (onEvent !== undefined) manager.on('event', onEvent);
      const plan = await manager.plan({ ...(to === undefined ? {} : { to }), ...(allowDowngrade === undefined ? {} : { allowDowngrade }) });
      return manager.run(plan);
    },
  };
}

export type Described = Readonly<Record<string, unknown>>;

/** The inspect document without what each start of the same container changes. */
export async function describeContainer(engine: DockerEngine, name: string): Promise<Described> {
  const document = await engine.inspect(name);
  const state = mapOf(document['State']);
  const network = mapOf(document['NetworkSettings']);
  const networks = Object.entries(mapOf(network['Networks'])).map(([key, value]) => {
    const { IPAMConfig, Links, Aliases, NetworkID, DriverOpts } = mapOf(value);
    return [key, { IPAMConfig, Links, Aliases, NetworkID, DriverOpts }];
  });
  // Health checks that run just now are executions, too.
  const { RestartCount: _count, ExecIDs: _running, ...rest } = document;
  return {
    ...rest,
    State: { Status: state['Status'], Running: state['Running'], Error: state['Error'] },
    NetworkSettings: { Ports: network['Ports'], Networks: Object.fromEntries(networks) },
  };
}

export function mapOf(value: unknown): Described {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Described) : {};
}

export async function namesIn(engine: DockerEngine): Promise<readonly string[]> {
  return (await engine.docker('ps', '--all', '--format', '{{.Names}}'))
    .split('\n')
    .filter((name) => name !== '')
    .sort();
}
