// The command line: every command with its flags. What a command does lies in `commands/`, loaded only when it is the one.
import { Command, CommanderError, Option } from 'commander';
import { fail } from '../model/failure.ts';
import { nearest } from '../model/nearest.ts';
import type { Terminal } from './terminal.ts';

export interface CommonFlags {
  readonly config?: string;
  readonly root?: string;
  readonly json?: boolean;
  readonly events?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  /** `--no-color` makes it false. */
  readonly color?: boolean;
}

export interface RunFlags extends CommonFlags {
  readonly from?: string;
  readonly to?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly allowDowngrade?: boolean;
  readonly planHash?: string;
  readonly detach?: boolean;
  /** Given by `--detach` to the process that it starts. */
  readonly runId?: string;
}

/** Known from the documentation, and told apart from a slip of the pen. */
const comeLater: ReadonlySet<string> = new Set(['up', 'down', 'redo', 'baseline', 'test', 'serve', 'token', 'adopt', 'boot']);

/** Parses and runs. Resolves with the exit code; throws an UpgradeError for everything that is wrong with the call itself. */
export async function runProgram(argv: readonly string[], terminal: Terminal, version: string): Promise<number> {
  let code = 0;
  const finish = (result: number): void => {
    code = result;
  };
  const program = buildProgram(terminal, version, finish);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    // A group of commands without one: what commander says then is not meant for people.
    const problem = error.code === 'commander.help' ? `"upgrade ${argv[0] ?? ''}" needs to be told what to do.` : sentence(error.message);
    throw fail('USAGE', { problem }, {}, error);
  }
}

function buildProgram(terminal: Terminal, version: string, finish: (code: number) => void): Command {
  const program = configured(new Command('upgrade'), terminal)
    .description('Takes an installation from one version to another as if it were one transaction.')
    .usage('[--from VERSION] [--to VERSION] [flags]\n       upgrade COMMAND [flags]')
    .version(version, '--version', 'print the version of Rungs')
    .helpCommand(false)
    .enablePositionalOptions()
    .argument('[command]')
    .allowExcessArguments(true);
  withPath(program);
  withRunFlags(program);
  withCommonFlags(program);
  program
    .option('--detach', 'run in a process of its own and print the run’s id')
    .addOption(new Option('--run-id <id>').hideHelp())
    .action(async (command: string | undefined, flags: RunFlags) => {
      if (command !== undefined && comeLater.has(command)) throw fail('COMMAND_NOT_YET', { command });
      if (command !== undefined) throw fail('UNKNOWN_COMMAND', { command, nearest: nearest(command, program.commands.map((known) => known.name())) });
      const { upgrade } = await import('./commands/upgrade.ts');
      finish(await upgrade(flags, terminal));
    });
  addPlanning(program, terminal, finish);
  addRecovery(program, terminal, finish);
  addBackups(program, terminal, finish);
  addAuthoring(program, terminal, finish);
  return program;
}

function addPlanning(program: Command, terminal: Terminal, finish: (code: number) => void): void {
  withPath(command(program, terminal, 'plan', 'show what an upgrade would do; writes nothing'))
    .option('--allow-downgrade', 'plan towards a lower version')
    .addOption(new Option('--format <format>', 'how to show it').choices(['text', 'json', 'mermaid']))
    .action(async (_, self: Command) => finish(await (await import('./commands/plan.ts')).plan(self.optsWithGlobals(), terminal)));
  command(program, terminal, 'check', 'lint the config and every transition, listing all problems at once; writes nothing').action(async (_, self: Command) =>
    finish(await (await import('./commands/check.ts')).check(self.optsWithGlobals(), terminal)),
  );
  command(program, terminal, 'status', 'installed version, what is pending, the unfinished run, backups').action(async (_, self: Command) =>
    finish(await (await import('./commands/status.ts')).status(self.optsWithGlobals(), terminal)),
  );
  command(program, terminal, 'doctor', 'the preflight alone, with a remedy for each finding').action(async (_, self: Command) =>
    finish(await (await import('./commands/doctor.ts')).doctor(self.optsWithGlobals(), terminal)),
  );
  command(program, terminal, 'history', 'all runs, or one with every step')
    .argument('[run]', 'the id of a run')
    .action(async (run: string | undefined, _, self: Command) => finish(await (await import('./commands/history.ts')).history(run, self.optsWithGlobals(), terminal)));
}

function addRecovery(program: Command, terminal: Terminal, finish: (code: number) => void): void {
  command(program, terminal, 'resume', 'finish an unfinished run')
    .addOption(new Option('--only-backward', 'roll it back').conflicts('onlyForward'))
    .option('--only-forward', 'refuse where the run would have to roll back')
    .action(async (_, self: Command) => finish(await (await import('./commands/resume.ts')).resume(self.optsWithGlobals(), terminal)));
  command(program, terminal, 'rollback', 'undo an unfinished run').action(async (_, self: Command) =>
    finish(await (await import('./commands/resume.ts')).rollback(self.optsWithGlobals(), terminal)),
  );
  command(program, terminal, 'follow', 'the events of a run, live or past')
    .argument('[run]', 'the id of a run; the latest where it is left out')
    .option('--after <seq>', 'begin after this sequence number', Number)
    .action(async (run: string | undefined, _, self: Command) => finish(await (await import('./commands/follow.ts')).follow(run, self.optsWithGlobals(), terminal)));
}

function addBackups(program: Command, terminal: Terminal, finish: (code: number) => void): void {
  const backup = configured(program.command('backup'), terminal).description('list, create, verify, restore and export backups').helpCommand(false);
  const actions = () => import('./commands/backup.ts');
  command(backup, terminal, 'list', 'all backups').action(async (_, self: Command) => finish(await (await actions()).list(self.optsWithGlobals(), terminal)));
  command(backup, terminal, 'create', 'make a backup now').action(async (_, self: Command) => finish(await (await actions()).create(self.optsWithGlobals(), terminal)));
  command(backup, terminal, 'verify', 'read a backup whole and compare it with its manifest')
    .argument('[id]', 'the newest where it is left out')
    .action(async (id: string | undefined, _, self: Command) => finish(await (await actions()).verify(id, self.optsWithGlobals(), terminal)));
  command(backup, terminal, 'restore', 'set the installation, or some paths of it, back to a backup')
    .argument('<id>')
    .argument('[paths...]', 'relative to the installation root')
    .option('--dry-run', 'tell what would be restored; writes nothing')
    .option('-y, --yes', 'do not ask')
    .action(async (id: string, paths: readonly string[], _, self: Command) => finish(await (await actions()).restore(id, paths, self.optsWithGlobals(), terminal)));
  command(backup, terminal, 'export', 'write one self-contained file')
    .argument('<id>')
    .argument('<file>')
    .action(async (id: string, file: string, _, self: Command) => finish(await (await actions()).exportTo(id, file, self.optsWithGlobals(), terminal)));
}

function addAuthoring(program: Command, terminal: Terminal, finish: (code: number) => void): void {
  command(program, terminal, 'new', 'write the next numbered step of a transition, ready to be filled in')
    .argument('<from>')
    .argument('<to>')
    .argument('<name>')
    .addOption(new Option('--kind <kind>', 'the kind of step').choices(['ts', 'sql', 'sh', 'py']).default('ts'))
    .action(async (from: string, to: string, name: string, _, self: Command) => finish(await (await import('./commands/new.ts')).newStep({ from, to, name }, self.optsWithGlobals(), terminal)));
}

function command(parent: Command, terminal: Terminal, name: string, description: string): Command {
  return withCommonFlags(configured(parent.command(name), terminal).description(description));
}

function configured(self: Command, terminal: Terminal): Command {
  return self
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: () => undefined, getOutHelpWidth: () => terminal.columns })
    .configureHelp({ showGlobalOptions: false });
}

function withCommonFlags(self: Command): Command {
  return self
    .option('-c, --config <file>', 'the config (default: the nearest upgrade.yaml, walking up)')
    .option('--root <dir>', 'the installation root, in place of the one in the config')
    .option('--json', 'one JSON document on stdout and nothing else there')
    .option('--events', 'events as JSON lines on stdout while running, the result last')
    .option('-q, --quiet', 'only what matters')
    .option('-v, --verbose', 'also the steps’ output and stack traces')
    .option('--no-color', 'no colours');
}

function withPath(self: Command): Command {
  return self
    .option('--from <version>', 'must be the installed version (default: it)')
    .option('--to <version>', 'the target (default: the highest that the migrations reach)');
}

function withRunFlags(self: Command): Command {
  return self
    .option('--dry-run', 'plan and preflight; writes nothing')
    .option('-y, --yes', 'do not ask')
    .option('--allow-downgrade', 'allow a target below the installed version')
    .option('--plan-hash <hash>', 'refuse if the plan is another than this');
}

function sentence(message: string): string {
  const text = message.replace(/^error: /, '').replaceAll('\n', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.?!)]$/.test(text) ? '' : '.');
}
