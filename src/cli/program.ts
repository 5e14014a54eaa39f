// The command line: every command with its flags. What a command does lies in `commands/`, loaded only when it is the one.
import { Argument, Command, CommanderError, Option } from 'commander';
import type { Shell } from './commands/completion.ts';
import { fail } from '../model/failure.ts';
import {
  choice,
  expiry,
  flagsOf,
  nameOf,
  wholeNumber,
  withCommonFlags,
  withLadderFlags,
  withPath,
  withRunFlags,
  type CommonFlags,
  type RunFlags,
} from './flags.ts';
import type { Invocation } from './invocation.ts';
import type { Terminal } from './terminal.ts';
import { unknownCommand, usageError } from './usage.ts';

interface Call {
  /** As it was written. */
  readonly line: readonly string[];
  readonly terminal: Terminal;
  readonly version: string;
  readonly finish: (code: number) => void;
  /** What the parser itself prints: help, and the version. */
  readonly print: (text: string) => void;
}

/** Parses and runs. Resolves with the exit code; throws an UpgradeError for everything that is wrong with the call itself. */
export async function runProgram(argv: readonly string[], invocation: Invocation, terminal: Terminal, version: string): Promise<number> {
  let code = 0;
  let printed = '';
  const program = buildProgram({
    line: argv,
    terminal,
    version,
    finish: (result) => void (code = result),
    print: (text) => void (printed += text),
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError) || error.exitCode !== 0) throw error;
    const isVersion = error.code === 'commander.version';
    if (!invocation.isJson && !invocation.isEvents) terminal.out(printed);
    else terminal.out(`${JSON.stringify(isVersion ? { version: printed.trim() } : { help: printed })}\n`);
    return 0;
  }
}

function buildProgram(call: Call): Command {
  const program = configured(new Command('upgrade'), call)
    .description('Takes an installation from one version to another as if it were one transaction.')
    .usage('[--from VERSION] [--to VERSION] [flags]\n       upgrade COMMAND [flags]')
    .helpCommand('help [command]', 'show what a command does')
    .enablePositionalOptions()
    .argument('[command]')
    .allowExcessArguments(true);
  withCommonFlags(withLadderFlags(withRunFlags(withPath(program))), call.version);
  program
    .option('--detach', 'run in a process of its own and print the run’s id')
    .addOption(new Option('--handed-over <file>').hideHelp())
    .action(async (word: string | undefined, _, self: Command) => {
      if (word !== undefined) throw unknownCommand(word, program);
      const flags: RunFlags = flagsOf(self);
      if (flags.handedOver !== undefined) {
        const { runHandedOver } = await import('./commands/handed-over.ts');
        call.finish(await runHandedOver(flags.handedOver, flags, call.terminal));
        return;
      }
      const { upgrade } = await import('./commands/upgrade.ts');
      call.finish(await upgrade(flags, call.terminal));
    });
  addPlanning(program, call);
  addRecovery(program, call);
  addBackups(program, call);
  addAuthoring(program, call);
  addLadders(program, call);
  addBoot(program, call);
  addServe(program, call);
  addNotify(program, call);
  addHelp(program, call);
  addNotYet(program, call);
  return program;
}

function addPlanning(program: Command, call: Call): void {
  const plan = withLadderFlags(withPath(command(program, call, 'plan', 'show what an upgrade would do; writes nothing')))
    .option('--allow-downgrade', 'plan towards a lower version')
    .addOption(choice('--format <format>', 'how to show it', ['text', 'json', 'mermaid']));
  runs(plan, call, async (flags) => (await import('./commands/plan.ts')).plan(flags, call.terminal));
  runs(
    command(program, call, 'check', 'lint the config, every transition and every ladder, listing all problems at once; writes nothing')
      .option('--strict', 'exit with 2 for warnings too')
      .option('--fresh', 'also try on scratch databases whether a fresh installation and the ladder lead to the same schema')
      .option('--ladder <name>', 'with --fresh: this ladder alone (default: all that have a "fresh")'),
    call,
    async (flags) => (await import('./commands/check.ts')).check(flags, call.terminal),
  );
  runs(command(program, call, 'status', 'installed version, what is pending, the unfinished run, backups, ladders'), call, async (flags) =>
    (await import('./commands/status.ts')).status(flags, call.terminal),
  );
  runs(command(program, call, 'doctor', 'the preflight alone, with a remedy for each finding'), call, async (flags) =>
    (await import('./commands/doctor.ts')).doctor(flags, call.terminal),
  );
  const history = command(program, call, 'history', 'all runs, or one with every step').argument('[run]', 'the id of a run');
  runs(history, call, async (flags, [run]) => (await import('./commands/history.ts')).history(run, flags, call.terminal));
}

function addRecovery(program: Command, call: Call): void {
  const resume = withKeys(withRunFlags(command(program, call, 'resume', 'finish an unfinished run, or a restore that was interrupted')))
    .addOption(new Option('--only-backward', 'roll it back').conflicts('onlyForward'))
    .option('--only-forward', 'refuse where the run would have to roll back');
  runs(resume, call, async (flags) => (await import('./commands/resume.ts')).resume(flags, call.terminal));
  const rollback = withRunFlags(command(program, call, 'rollback', 'undo an unfinished run'));
  runs(rollback, call, async (flags) => (await import('./commands/resume.ts')).rollback(flags, call.terminal));
  const follow = command(program, call, 'follow', 'the events of a run, live or past')
    .argument('[run]', 'the id of a run; the latest where it is left out')
    .option('--after <seq>', 'begin after this sequence number', wholeNumber);
  runs(follow, call, async (flags, [run]) => (await import('./commands/follow.ts')).follow(run, flags, call.terminal));
  const logs = command(program, call, 'logs', 'what a run wrote into its log')
    .argument('[run]', 'the id of a run; the latest where it is left out')
    .option('--step <id>', 'all that this step printed')
    .option('-f, --follow', 'go on with what comes, until the run is over');
  runs(logs, call, async (flags, [run]) => (await import('./commands/logs.ts')).logs(run, flags, call.terminal));
}

function addBackups(program: Command, call: Call): void {
  const actions = () => import('./commands/backup.ts');
  const backup = group(program, call, 'backup', 'list, create, verify, restore, export and import backups');
  runs(command(backup, call, 'list', 'all backups'), call, async (flags) => (await actions()).list(flags, call.terminal));
  const made = command(backup, call, 'create', 'make a backup now').option('--full', 'store everything, whatever earlier backups have');
  runs(made, call, async (flags) => (await actions()).create(flags, call.terminal));
  const verify = withKeys(command(backup, call, 'verify', 'read a backup whole and compare it with its manifest'))
    .argument('[id]', 'the newest where it is left out')
    .option('--sealed', 'of an encrypted backup, only whether its files are as they were written: takes no key')
    .option('--deep', 'also read all that it needs of earlier backups; without it they are sampled');
  runs(verify, call, async (flags, [id]) => (await actions()).verify(id, flags, call.terminal));
  const restore = withKeys(command(backup, call, 'restore', 'set the installation, or some paths of it, back to a backup'))
    .argument('<id>')
    .argument('[paths...]', 'relative to the installation root, or database:NAME')
    .option('--to <dir>', 'write it into this empty or new folder instead; the installation is not touched')
    .option('--dry-run', 'tell what would be restored; writes nothing')
    .option('--no-safety-copy', 'make no backup of the present state first')
    .option('-y, --yes', 'accepted; nothing is asked');
  runs(restore, call, async (flags, [id = '', ...paths]) =>
    (await import('./commands/restore.ts')).restore(id, paths, flags, call.terminal),
  );
  const exported = withKeys(command(backup, call, 'export', 'write one self-contained file'))
    .argument('<id>')
    .argument('<file>');
  runs(exported, call, async (flags, [id = '', file = '']) => (await actions()).exportTo(id, file, flags, call.terminal));
  const imported = withKeys(command(backup, call, 'import', 'take in what "backup export" wrote, on this host or another')).argument(
    '<file>',
  );
  runs(imported, call, async (flags, [file = '']) => (await actions()).importFrom(file, flags, call.terminal));
}

function withKeys(self: Command): Command {
  const collect = (file: string, before: readonly string[] = []): readonly string[] => [...before, file];
  return self.option(
    '--identity <file>',
    'key for an encrypted backup: an age identity file or an SSH private key; may be repeated',
    collect,
  );
}

function addAuthoring(program: Command, call: Call): void {
  const create = command(program, call, 'new', 'write the next numbered step of a transition, or of a ladder, ready to be filled in')
    .usage('FROM TO NAME [flags]\n       upgrade new NAME --ladder LADDER [flags]')
    .argument('<words...>', 'two versions and a name; for a ladder the name')
    .addOption(choice('--kind <kind>', 'the kind of step (default: ts, in a ladder sql or sh)', ['ts', 'sql', 'sh', 'py']))
    .option('--ladder <name>', 'a step of this ladder');
  runs(create, call, async (flags, words) => (await import('./commands/new.ts')).newStep(words, flags, call.terminal));
  const adopt = command(program, call, 'adopt', 'take over what another tool recorded of a ladder, as its baseline')
    .option('--ladder <name>', 'this ladder alone (default: all)')
    .option('--dry-run', 'tell what was found; writes nothing');
  runs(adopt, call, async (flags) => (await import('./commands/adopt.ts')).adopt(flags, call.terminal));
}

function addLadders(program: Command, call: Call): void {
  const ladders = () => import('./commands/ladders.ts');
  const which = (self: Command): Command => self.option('--ladder <name>', 'the ladder, where there are several');
  const plain = (self: Command): Command =>
    which(self)
      .option('--dry-run', 'plan and preflight; writes nothing')
      .option('-y, --yes', 'do not ask')
      .option('--plan-hash <hash>', 'refuse if the plan is another than this');
  const up = withLadderFlags(plain(command(program, call, 'up', 'climb ladders to the top, or one to a height'))).argument('[height]');
  runs(up, call, async (flags, [to]) => (await ladders()).climb('up', to, flags, call.terminal));
  const down = plain(command(program, call, 'down', 'climb a ladder one step down, or to a height')).argument(
    '[height]',
    '0 is the ground',
  );
  runs(down, call, async (flags, [to]) => (await ladders()).climb('down', to, flags, call.terminal));
  const redo = plain(command(program, call, 'redo', 'the last step of a ladder down and up again'));
  runs(redo, call, async (flags) => (await ladders()).climb('redo', undefined, flags, call.terminal));
  const set = which(command(program, call, 'baseline', 'say that a ladder stands at a height; nothing is run'))
    .argument('<height>')
    .option('--dry-run', 'tell what would be recorded; writes nothing');
  runs(set, call, async (flags, [to]) => (await ladders()).baseline(to, flags, call.terminal));
}

function addBoot(program: Command, call: Call): void {
  const boot = command(
    program,
    call,
    'boot',
    'bring the installation up to date, then become the command: a container’s or unit’s entry point',
  )
    .usage('[flags] [-- COMMAND ARG...]')
    .argument('[words...]', 'after "--": what to start')
    .addOption(choice('--on-failure <what>', 'where it cannot be brought up to date (default: stop)', ['stop', 'start-anyway']))
    .option('--dry-run', 'plan and preflight; writes nothing and starts nothing')
    .option('-y, --yes', 'accepted; nothing is asked');
  runs(boot, call, async (flags, words) => (await import('./commands/boot.ts')).boot(words, call.line, flags, call.terminal));
}

function addServe(program: Command, call: Call): void {
  const serve = command(program, call, 'serve', 'the status API and the dashboard; only looks')
    .option('--listen <address>', 'HOST:PORT on loopback, or unix:/path (default: 127.0.0.1:7070)')
    .option('--allow-host <host...>', 'also answer to this name: HOST or HOST:PORT as a proxy in front passes it on')
    .option('--allow-remote', 'listen where other machines reach it; nothing is encrypted')
    .option('--print-unit', 'print a systemd unit that runs this, and end');
  runs(serve, call, async (flags) => (await import('./commands/serve.ts')).serve(flags, call.terminal));
  const actions = () => import('./commands/token.ts');
  const token = group(program, call, 'token', 'who may ask the status API: create, list and revoke tokens');
  const create = command(token, call, 'create', 'make a token and print it, once')
    .argument('<name>', 'what it is for')
    .addOption(choice('--scope <scope...>', 'what it may ask (default: all)', ['read', 'logs', 'metrics']))
    .option('--expires <when>', 'when it ends: 30d, 12h, or a day such as 2027-01-31', expiry);
  runs(create, call, async (flags, [name = '']) => (await actions()).create(name, flags, call.terminal));
  runs(command(token, call, 'list', 'all tokens, without what makes them valid'), call, async (flags) =>
    (await actions()).list(flags, call.terminal),
  );
  const revoke = command(token, call, 'revoke', 'take a token back, at once').argument('<name>');
  runs(revoke, call, async (flags, [name = '']) => (await actions()).revoke(name, flags, call.terminal));
}

function addNotify(program: Command, call: Call): void {
  const actions = () => import('./commands/notify.ts');
  const notify = group(program, call, 'notify', 'tell those whom upgrade.yaml names, and see who was told');
  runs(command(notify, call, 'send', 'try now what could not be delivered'), call, async (flags) =>
    (await actions()).send(flags, call.terminal),
  );
  runs(command(notify, call, 'list', 'what waits, and what was delivered lately'), call, async (flags) =>
    (await actions()).list(flags, call.terminal),
  );
  runs(command(notify, call, 'test', 'send everybody a message that says nothing'), call, async (flags) =>
    (await actions()).test(flags, call.terminal),
  );
}

function addHelp(program: Command, call: Call): void {
  const explained = command(
    program,
    call,
    'explain',
    'what an error means, what has happened, and what to do; all codes where none is given',
  ).argument('[code]', 'the code in capitals');
  runs(explained, call, async (flags, [code]) => (await import('./commands/explain.ts')).explain(code, flags, call.terminal));
  const completed = command(program, call, 'completion', 'print a script that completes commands, versions and ids in a shell').addArgument(
    new Argument('<shell>', 'bash, zsh or fish').choices(['bash', 'zsh', 'fish']),
  );
  runs(completed, call, async (flags, [shell]) =>
    (await import('./commands/completion.ts')).completion(shell as Shell, flags, call.terminal),
  );
  configured(program.command('__complete', { hidden: true }), call)
    .helpOption(false)
    .argument('[words...]')
    .action(async (words: string[]) => call.finish(await (await import('./commands/complete.ts')).complete(words, program, call.terminal)));
}

/** Commands that are planned: known, so that nobody takes them for a slip of the pen. */
function addNotYet(program: Command, call: Call): void {
  for (const name of ['test']) {
    configured(program.command(name, { hidden: true }), call)
      .helpOption(false)
      .argument('[words...]')
      .allowUnknownOption(true)
      .action(() => {
        throw fail('COMMAND_NOT_YET', { command: name });
      });
  }
}

/** A command that only has commands. */
function group(program: Command, call: Call, name: string, description: string): Command {
  const self = withCommonFlags(configured(program.command(name), call), call.version)
    .description(description)
    .usage('COMMAND [flags]')
    .helpCommand(false)
    .enablePositionalOptions()
    .argument('[command]')
    .allowExcessArguments(true)
    .action((word: string | undefined) => {
      if (word !== undefined) throw unknownCommand(word, self);
      throw fail('COMMAND_MISSING_WORD', { command: nameOf(self), known: self.commands.map((known) => known.name()) });
    });
  return self;
}

function command(parent: Command, call: Call, name: string, description: string): Command {
  return withCommonFlags(configured(parent.command(name), call).description(description), call.version);
}

function runs<T extends CommonFlags>(self: Command, { finish }: Call, work: (flags: T, words: readonly string[]) => Promise<number>): void {
  self.action(async () => finish(await work(flagsOf<T>(self), self.args)));
}

function configured(self: Command, { terminal, print }: Call): Command {
  return self
    .exitOverride((error) => {
      throw error.exitCode === 0 ? error : usageError(error, self);
    })
    .allowExcessArguments(false)
    .configureOutput({ writeOut: print, writeErr: () => undefined, getOutHelpWidth: () => terminal.columns })
    .configureHelp({ showGlobalOptions: false });
}
