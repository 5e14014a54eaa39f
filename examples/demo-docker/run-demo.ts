// The course of the demo with containers: find an engine, make a scratch copy, show it, upgrade it with the real executable, show it again, remove it.
// Exit code 0 when all went as the demo says it does, 1 when not, 2 for wrong arguments, 3 where something is missing, 130 when interrupted.
import { isDeepStrictEqual } from 'node:util';
import pc from 'picocolors';
import { flagsOf, say, seconds, table, tellExit, title, watchForInterrupt, type Interrupt, type Lines } from '../demo/console.ts';
import { differencesBetween, digestOf, type Snapshot } from '../demo/snapshot.ts';
import { findEngine, type DemoEngine } from './engine.ts';
import { makeDockerScratch, type Container, type DockerScratch } from './scratch.ts';

const usage = 'npm run demo:docker -- [--break] [--keep]';

export async function runDockerDemo(args: readonly string[]): Promise<number> {
  const flags = flagsOf(args, usage);
  if (flags === null) return 2;
  const began = performance.now();
  const interrupt = watchForInterrupt();
  let engine: DemoEngine | null = null;
  let scratch: DockerScratch | null = null;
  try {
    const found = await findEngine();
    if (typeof found === 'string') {
      process.stderr.write(`${found}\n`);
      return 3;
    }
    engine = found;
    interrupt.throwIfAsked();
    say(pc.dim(engine.isOwn ? 'No engine runs: this one is the demo’s own, and ends with it.' : 'On the engine that is there.'));
    scratch = await makeDockerScratch(engine, { isBroken: flags.break });
    interrupt.throwIfAsked();
    const isAsPromised = await show(scratch, flags.break, interrupt);
    say(
      isAsPromised
        ? pc.green(`\nAll of that in ${seconds(performance.now() - began)}.`)
        : pc.red('\nThat is not what this demo should show: please tell us.'),
    );
    if (isAsPromised && !flags.break)
      say(pc.dim('Now see a release that does not become well, and the old one come back: npm run demo:docker -- --break'));
    return isAsPromised ? 0 : 1;
  } catch (error) {
    if (interrupt.isAsked()) return 130;
    throw error;
  } finally {
    const isKept = flags.keep && engine?.isOwn === false;
    if (scratch !== null && isKept)
      say(`\nAll of it is kept:\n  cd ${scratch.root}\n  docker ps -a --filter name=${scratch.name}\n  upgrade history`);
    else {
      if (flags.keep && engine !== null) say('\nNothing is kept: the engine was the demo’s own.');
      await scratch?.remove();
    }
    await engine?.end();
    interrupt.stop();
  }
}

async function show(scratch: DockerScratch, isBreaking: boolean, interrupt: Interrupt): Promise<boolean> {
  title('Before', 'a home server in a container, at 0.1.0');
  const before = await gather(scratch);
  table(before.lines);
  const args = ['--to', '0.3.0', '--yes'];
  title(
    `$ upgrade ${args.join(' ')}`,
    isBreaking ? 'the image of 0.3.0 starts, and never becomes well' : 'two transitions: the data changes, and so does the image',
  );
  const { code, signal } = await scratch.upgrade(args, { output: 'inherit', onSpawn: interrupt.passOnTo });
  tellExit(code, signal);
  interrupt.throwIfAsked();
  title('After', isBreaking ? 'is it the old one?' : 'what changed is bright');
  const after = await gather(scratch);
  table(after.lines, before.lines);
  return isBreaking ? code === 10 && proveItIsBack(before, after) : code === 0 && proveItIsNew(before, after);
}

interface Facts {
  readonly lines: Lines;
  readonly container: Container;
  readonly snapshot: Snapshot;
  readonly health: string;
}

async function gather(scratch: DockerScratch): Promise<Facts> {
  const [version, health, container, snapshot, files] = await Promise.all([
    scratch.version(),
    scratch.health(),
    scratch.container(),
    scratch.snapshot(),
    scratch.files(),
  ]);
  const lines = [
    ['version', version],
    ['health', health],
    ['container', `${container.Name.slice(1)}, id ${container.Id.slice(0, 12)}`],
    ['image', `${container.Config.Image}, id ${container.Image.replace('sha256:', '').slice(0, 12)}`],
    ['data', files.join(', ')],
    ['tree', `${snapshot.size} paths, sha256 ${digestOf(snapshot).slice(0, 16)}…`],
  ] as const;
  return { lines, container, snapshot, health };
}

function proveItIsNew(before: Facts, after: Facts): boolean {
  return prove('that the container is a new one, and but for its image as it was', [
    [
      after.container.Id !== before.container.Id && after.container.Image !== before.container.Image,
      'the container is made anew, from the image of 0.3.0',
    ],
    [isDeepStrictEqual(after.container.HostConfig, before.container.HostConfig), 'ports, mounts, limits and restart policy are the same'],
    [after.health === '200 {"ok":true,"version":"0.3.0","format":3,"notes":4}', 'it answers, with every note'],
  ]);
}

function proveItIsBack(before: Facts, after: Facts): boolean {
  const differences = differencesBetween(before.snapshot, after.snapshot);
  for (const difference of differences) say(pc.red(`  ${difference}`));
  return prove('of everything but .upgrade, where the run is recorded', [
    [differences.length === 0, `tree: type, mode, owner, size, content and link target of ${after.snapshot.size} paths are the same`],
    [
      after.container.Id === before.container.Id && after.container.Name === before.container.Name,
      'container: the very same, under its own name',
    ],
    [
      isDeepStrictEqual([after.container.Config, after.container.HostConfig], [before.container.Config, before.container.HostConfig]),
      'container: its settings are the same',
    ],
    [before.health === after.health && after.health.startsWith('200 '), 'service: answers as before'],
  ]);
}

function prove(remark: string, checks: readonly (readonly [boolean, string])[]): boolean {
  title('Proof', remark);
  for (const [isTrue, sentence] of checks) say(isTrue ? `  ${pc.green('yes')}  ${sentence}` : `  ${pc.red('NO')}   ${sentence}`);
  return checks.every(([isTrue]) => isTrue);
}
