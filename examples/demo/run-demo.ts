// The demo's course: make a scratch copy, show it, upgrade it with the real executable, show it again, remove it.
// Exit code 0 when all went as the demo says it does, 1 when not, 2 for wrong arguments, 130 when interrupted.
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import pc from 'picocolors';
import { flagsOf, say, seconds, table, tellExit, title, watchForInterrupt, type Interrupt } from './console.ts';
import { gatherFacts } from './facts.ts';
import type { Facts } from './facts.ts';
import { makeScratch } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { differencesBetween } from './snapshot.ts';
import { lineDiff } from './text-diff.ts';

const usage = 'npm run demo -- [--break] [--keep]';

export async function runDemo(args: readonly string[]): Promise<number> {
  const flags = flagsOf(args, usage);
  if (flags === null) return 2;
  const began = performance.now();
  const interrupt = watchForInterrupt();
  let scratch: Scratch | null = null;
  try {
    scratch = await makeScratch({ prefix: 'rungs-demo-' });
    if (flags.break)
      await copyFile(join(import.meta.dirname, '006_break.ts'), join(scratch.migrations, 'v0.2.0_to_v0.3.0', '006_break.ts'));
    await scratch.start();
    interrupt.throwIfAsked();
    const isAsPromised = await show(scratch, flags.break, interrupt);
    interrupt.throwIfAsked();
    say(
      isAsPromised
        ? pc.green(`\nAll of that in ${seconds(performance.now() - began)}.`)
        : pc.red('\nThat is not what this demo should show: please tell us.'),
    );
    if (isAsPromised && !flags.break) say(pc.dim('Now see a step fail and everything put back: npm run demo -- --break'));
    return isAsPromised ? 0 : 1;
  } catch (error) {
    if (interrupt.isAsked()) return 130;
    throw error;
  } finally {
    if (scratch !== null) await end(scratch, flags.keep);
    interrupt.stop();
  }
}

async function show(scratch: Scratch, isBreaking: boolean, interrupt: Interrupt): Promise<boolean> {
  title('Before', 'a home server at 0.1.0, its service running');
  const before = await gatherFacts(scratch);
  table(before.lines);

  const args = ['--from', '0.1.0', '--to', '0.3.0', '--yes'];
  title(
    `$ upgrade ${args.join(' ')}`,
    isBreaking ? 'an eleventh step was added, which fails half-way' : 'two transitions, ten steps: TypeScript, SQL, Python, shell',
  );
  const { code, signal } = await scratch.upgrade(args, { output: 'inherit', onSpawn: interrupt.passOnTo });
  tellExit(code, signal);
  interrupt.throwIfAsked();

  const after = await gatherFacts(scratch);
  return isBreaking ? code === 10 && proveNothingChanged(before, after) : code === 0 && (await showWhatChanged(before, after));
}

async function showWhatChanged(before: Facts, after: Facts): Promise<boolean> {
  title('After', 'what changed is bright');
  table(after.lines, before.lines);
  title('config/app.yaml', 'keeps its values, comments and order');
  const lines = lineDiff(before.config, after.config);
  for (const [index, line] of lines.entries()) {
    if (line.slice(1).trim() === '') continue;
    if (line.startsWith('+')) say(pc.green(`  ${line}`));
    else if (line.startsWith('-')) say(pc.red(`  ${line}`));
    else if ([index - 1, index + 1].some((near) => /^[+-]/.test(lines[near] ?? ''))) say(pc.dim(`  ${line}`));
  }
  return after.health.startsWith('200 ') && after.lines.some(([label, text]) => label === 'version' && text === '0.3.0');
}

function proveNothingChanged(before: Facts, after: Facts): boolean {
  title('After', 'is it the old one, byte for byte?');
  table(after.lines, before.lines);
  const differences = differencesBetween(before.snapshot, after.snapshot);
  const checks: readonly (readonly [boolean, string])[] = [
    [differences.length === 0, `tree: type, mode, owner, size, content and link target of ${after.snapshot.size} paths are the same`],
    [before.dump === after.dump, 'database: schema and every row are the same'],
    [before.health === after.health && after.health.startsWith('200 '), 'service: answers as before'],
  ];
  title('Proof', 'of everything but .upgrade, where the run is recorded, and run/, where the service keeps its log');
  for (const [isTrue, sentence] of checks) say(isTrue ? `  ${pc.green('yes')}  ${sentence}` : `  ${pc.red('NO')}   ${sentence}`);
  for (const difference of differences) say(pc.red(`       ${difference}`));
  return checks.every(([isTrue]) => isTrue);
}

async function end(scratch: Scratch, isKept: boolean): Promise<void> {
  if (!isKept) return scratch.remove();
  await scratch.stop();
  say(`\nThe copy is kept, its service stopped:\n  cd ${scratch.root}\n  bin/service start\n  upgrade history`);
}
