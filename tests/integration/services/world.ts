// An installation whose services are units of a test's own systemd, upgraded by the real executable beside that systemd.
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { snapshotOf } from '../../../examples/demo/snapshot.ts';
import type { ResultDocument } from '../../../src/model/run.ts';
import type { TestSystemd } from '../../support/systemd-user.ts';

const repository = path.resolve(import.meta.dirname, '../../..');
const executable = path.join(repository, 'bin/upgrade.mjs');

export interface Scenario {
  /** Unit files by name, or by `NAME.d/FILE` for a drop-in, which lies in the installation and is a step's to change. */
  readonly units: Readonly<Record<string, string>>;
  /** Of upgrade.yaml, one line each. */
  readonly services: Readonly<Record<string, string>>;
  /** Shell scripts by number, `forward` and `backward` as `$1`. */
  readonly steps: Readonly<Record<string, string>>;
  /** More of upgrade.yaml. */
  readonly config?: string;
  /** `systemctl` commands that make it what it is before. */
  readonly before?: readonly string[];
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface World {
  readonly root: string;
  readonly run: (...args: readonly string[]) => Promise<Ended>;
  /** `--json`. */
  readonly upgrade: (...args: readonly string[]) => Promise<{ readonly code: number | null; readonly result: ResultDocument }>;
  /** A program of this repository, beside systemd. */
  readonly node: (...args: readonly string[]) => Promise<Ended>;
  readonly systemctl: (...args: readonly string[]) => Promise<string>;
  /** Everything that an upgrade may change, but what is new with each start. */
  readonly look: () => Promise<unknown>;
  /** Which start of it this is. */
  readonly invocation: (unit: string) => Promise<string>;
  readonly remove: () => Promise<void>;
}

// What is compared: all that says how a unit is set up and what state it is in.
const compared =
  'Id,Names,LoadState,ActiveState,SubState,UnitFileState,FragmentPath,DropInPaths,Description,Environment,Result,Type,Restart,NeedDaemonReload,TriggeredBy';

export async function makeWorld(systemd: TestSystemd, { units, services, steps, config = '', before = [] }: Scenario): Promise<World> {
  const root = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'rungs-world-')));
  const scope = `--${systemd.scope}`;
  // Not in the folder that goes before all others: there, what is masked would go on running.
  const unitDir = systemd.scope === 'user' ? path.resolve(systemd.unitDir, '../../../.local/share/systemd/user') : systemd.unitDir;
  const names = [...new Set(Object.keys(units).map((name) => name.split('.d/')[0] ?? ''))];
  const made: string[] = [];
  for (const [name, text] of Object.entries(units)) {
    const [unit = '', dropIn] = name.split('.d/');
    const where = dropIn === undefined ? path.join(unitDir, unit) : path.join(root, 'units', `${unit}.d`, dropIn);
    const linked = path.join(unitDir, dropIn === undefined ? unit : `${unit}.d`);
    // Inside: the folder of a system's units is seen there alone.
    await systemd.run(['sh', '-c', 'mkdir -p "${1%/*}" "${3%/*}" && printf %s "$2" > "$1"', 'sh', where, text, linked]);
    if (dropIn !== undefined) await systemd.run(['ln', '-s', path.dirname(where), linked]);
    made.push(linked);
  }
  writeFileSync(path.join(root, 'VERSION'), '1.0.0\n');
  const lines = Object.entries(services).map(([name, text]) => `  ${name}: ${text}\n`);
  writeFileSync(path.join(root, 'upgrade.yaml'), `product: world\nversion: { file: VERSION }\nservices:\n${lines.join('')}${config}`);
  const folder = path.join(root, 'migrations/v1.0.0_to_v1.1.0');
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of Object.entries(steps)) {
    writeFileSync(path.join(folder, file), text);
    chmodSync(path.join(folder, file), 0o755);
  }
  const systemctl = async (...args: readonly string[]) => systemd.run(['systemctl', scope, ...args]);
  await systemctl('daemon-reload');
  for (const command of before) await systemctl(...command.split(' ')).catch(() => undefined);

  const env = { PATH: `${path.dirname(process.execPath)}:/usr/bin:/bin:/usr/sbin:/sbin`, NO_COLOR: '1' };
  const node = async (...args: readonly string[]): Promise<Ended> => inside(systemd.inside([process.execPath, ...args], env), root);
  const run = async (...args: readonly string[]) => node(executable, ...args, '-c', path.join(root, 'upgrade.yaml'));
  const states = async (): Promise<readonly string[]> => {
    // Instances of templates are units without a file of that name.
    const all = [...names, ...Object.values(services).flatMap((text) => /systemd: ([^,\s}]+)/.exec(text)?.[1] ?? [])];
    const shown = await Promise.all(
      [...new Set(all)].filter((name) => !name.includes('@.')).map((name) => systemctl('show', '--property', compared, name)),
    );
    return shown.flatMap((text) => text.trim().split('\n'));
  };
  return {
    root,
    run,
    node,
    systemctl,
    upgrade: async (...args) => {
      const { code, stdout, stderr } = await run('--json', '--yes', ...args);
      if (stdout === '') throw new Error(`no document (exit ${code}): ${stderr}`);
      return { code, result: JSON.parse(stdout) as ResultDocument };
    },
    look: async () => ({
      version: readFileSync(path.join(root, 'VERSION'), 'utf8').trim(),
      tree: await snapshotOf(root),
      states: await states(),
    }),
    invocation: async (unit) => (await systemctl('show', '--property=InvocationID', '--value', unit)).trim(),
    remove: async () => {
      const loaded = names.filter((name) => !name.includes('@.'));
      await systemctl('stop', ...loaded).catch(() => undefined);
      // A mask stays behind where its unit's file goes, and would be the next test's.
      await systemctl('unmask', ...loaded).catch(() => undefined);
      await systemctl('disable', ...loaded).catch(() => undefined);
      await systemd.run(['rm', '-rf', ...made]);
      await systemctl('daemon-reload');
      await systemctl('reset-failed').catch(() => undefined);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** A service that lives until it is stopped. */
export function daemon({ service = '', unit = '', install = '' } = {}): string {
  return `[Unit]\nDescription=a daemon of the tests\n${unit}\n[Service]\nExecStart=/bin/sh -c 'echo "I am \${ME:-nobody}"; exec sleep 1000'\n${service}\n[Install]\nWantedBy=default.target\n${install}\n`;
}

export const restarts = (names: string, body = 'true') => `#!/bin/sh\n# rungs: { requires_restart: [${names}] }\n${body}\n`;
export const breaks = '#!/bin/sh\n[ "$1" = backward ] || exit 3\n';

async function inside([file, ...args]: readonly [string, ...string[]], cwd: string): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(
      file,
      args,
      { cwd, encoding: 'utf8', timeout: 110_000, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024 },
      (_, stdout, stderr) => resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr }),
    );
  });
}
