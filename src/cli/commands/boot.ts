// `upgrade boot [-- CMD ARG…]`: brings the installation up to date, then becomes CMD. Promises that CMD is looked up before anything is run, that
// stdout is CMD's alone, and that CMD is not started where somebody asked to stop, or where nobody knows what it would start on.
import os from 'node:os';
import type { BootOnFailure } from '../../model/config.ts';
import { fail, failuresOf, type UpgradeError } from '../../model/failure.ts';
import type { ResultDocument } from '../../model/run.ts';
import { duration } from '../../report/layout.ts';
import { isUpToDate, mayStartAnyway } from '../../session/boot-failure.ts';
import type { BootNote } from '../../session/boot-notes.ts';
import { bootSettings, isBootWanted } from '../../session/boot-settings.ts';
import { become } from '../become.ts';
import { exitCodeOfFailures, exitCodeOfResult } from '../exit-codes.ts';
import type { CommonFlags } from '../flags.ts';
import { untilInterrupted } from '../interrupts.ts';
import { openManager } from '../manager.ts';
import { isForPrograms, reporterFor } from '../output.ts';
import { findProgram, type ProgramFile } from '../program-file.ts';
import { tell } from '../tell.ts';
import type { Terminal } from '../terminal.ts';

export interface BootFlags extends CommonFlags {
  readonly onFailure?: BootOnFailure;
  readonly dryRun?: boolean;
}

/** How it ended: with the exit code, and whether CMD may start in spite of it. */
interface Ended {
  readonly code: number;
  readonly mayStart: boolean;
}

/** `words`: what the parser took for CMD; `line`: the whole call, which tells what stood after `--`. */
export async function boot(words: readonly string[], line: readonly string[], flags: BootFlags, terminal: Terminal): Promise<number> {
  const cmd = commandIn(words, line);
  const program = cmd === null ? null : findProgram(cmd, terminal);
  if (flags.dryRun === true) {
    const manager = await openManager(flags, terminal);
    return (await import('./plan.ts')).showPlan(manager, await manager.planBoot(), flags, terminal);
  }
  const voice = voiceFor(flags, terminal, program !== null);
  const note = (text: string): void => {
    if (flags.quiet !== true && !voice.isMute) terminal.err(`boot: ${text}\n`);
  };
  if (!isBootWanted(terminal.env)) {
    note(`AUTO_MIGRATE is ${terminal.env.AUTO_MIGRATE}: nothing is looked at and nothing is run`);
    return start(program, 0);
  }
  const { code, mayStart } = await bring(flags, voice, terminal, note);
  if (!mayStart) return code;
  if (program !== null) note(code === 0 ? `starting ${cmd?.[0]}` : `starting ${cmd?.[0]} all the same (--on-failure start-anyway)`);
  return start(program, code);

  async function start(found: ProgramFile | null, otherwise: number): Promise<number> {
    return found === null ? otherwise : become(found, terminal.env);
  }
}

async function bring(flags: BootFlags, voice: Voice, terminal: Terminal, note: (text: string) => void): Promise<Ended> {
  let stoppedBy: NodeJS.Signals | null = null;
  let isRunning = false;
  let onFailure = flags.onFailure ?? 'stop';
  const controller = new AbortController();
  const onStop = (signal: NodeJS.Signals): string | null => {
    stoppedBy = signal;
    controller.abort();
    return isRunning ? null : `${signal}: nothing was begun; leaving.`;
  };
  const work = async (signal: AbortSignal): Promise<ResultDocument> => {
    const manager = await openManager(flags, voice.terminal);
    ({ onFailure } = bootSettings(manager.config, terminal.env, flags));
    // What starts is told in lines: they are a service's log, and the terminal is CMD's afterwards.
    const reporter = await reporterFor(flags, voice.terminal, manager.config.secrets, null);
    manager.on('event', (event) => {
      if (event.type === 'run-started') isRunning = true;
      if (event.type === 'run-finished') isRunning = false;
      reporter.onEvent(event);
    });
    const result = await manager.boot({ ...flags, signal, onNote: (one) => voice.note(one, note) });
    if (result.outcome !== 'nothing-to-do' || isForPrograms(flags)) reporter.finish(result);
    else note(`nothing to do${result.version === null ? '' : `, at ${result.version}`} (${duration(result.durationMs)})`);
    return result;
  };
  const signalCode = (): number => 128 + (stoppedBy === null ? 0 : os.constants.signals[stoppedBy]);
  try {
    const result = await untilInterrupted(voice.terminal, work, onStop);
    const code = exitCodeOfResult(result);
    // It was too late to turn back; what was to be stopped is not started all the same.
    if (isUpToDate(result)) return stoppedBy === null ? { code, mayStart: true } : { code: signalCode(), mayStart: false };
    return { code, mayStart: onFailure === 'start-anyway' && mayStartAnyway(result, controller.signal) };
  } catch (error) {
    if (stoppedBy !== null && failuresOf(error).every(({ code }) => code === 'CANCELLED')) return { code: signalCode(), mayStart: false };
    const failures = failuresOf(error);
    const mayStart = onFailure === 'start-anyway' && mayStartAnyway({ outcome: 'refused', failures }, controller.signal);
    // The one who calls tells it in the usual way, but not where stdout is CMD's.
    if (!mayStart && !voice.isElsewhere) throw error;
    const code = exitCodeOfFailures(failures);
    await tell(failures, code, voice.invocation, voice.terminal);
    return { code, mayStart };
  }
}

interface Voice {
  /** Where boot speaks. */
  readonly terminal: Terminal;
  /** No word for people: stderr carries JSON. */
  readonly isMute: boolean;
  /** JSON goes elsewhere than to stdout. */
  readonly isElsewhere: boolean;
  readonly invocation: Parameters<typeof tell>[2];
  note(note: BootNote, say: (text: string) => void): void;
}

/** stdout belongs to CMD: what people read goes to stderr, and where programs listen, JSON alone goes there. */
function voiceFor(flags: BootFlags, terminal: Terminal, hasProgram: boolean): Voice {
  const isForOthers = isForPrograms(flags);
  const isMute = isForOthers && hasProgram;
  const silent = { ...terminal, stdout: terminal.stderr, out: terminal.err, stderr: { write: () => true }, err: () => undefined };
  const spoken = isForOthers ? terminal : { ...terminal, stdout: terminal.stderr, out: terminal.err };
  const voice = isMute ? silent : spoken;
  return {
    terminal: voice,
    isMute,
    isElsewhere: isMute,
    invocation: {
      command: 'boot',
      isJson: flags.json === true,
      isEvents: flags.events === true,
      isVerbose: flags.verbose === true,
      hasColor: flags.color !== false,
    },
    note(note, say) {
      if (flags.events === true) voice.out(`${JSON.stringify({ type: 'boot', note })}\n`);
      const text = textOf(note);
      if (text !== null) say(text);
    },
  };
}

function textOf(note: BootNote): string | null {
  switch (note.type) {
    case 'connecting':
      return `${note.name} (${note.server}) does not answer yet; waiting for it`;
    case 'waiting': {
      const so = note.waitedMs < 1000 ? '' : `, ${Math.round(note.waitedMs / 1000)} s of them over`;
      return `${note.held.message} Waiting for it, ${duration(note.limitMs)} at most${so}`;
    }
    case 'resuming':
      return `run ${note.runId} was left unfinished; finishing it first`;
    default:
      return null;
  }
}

/** `null`: none. Throws USAGE. */
function commandIn(words: readonly string[], line: readonly string[]): readonly string[] | null {
  const at = line.indexOf('--');
  const given = at < 0 ? [] : line.slice(at + 1);
  const usage = (problem: string): UpgradeError => fail('USAGE', { problem, command: 'upgrade boot' });
  if (words.length !== given.length) throw usage(`What is to be started has to stand after "--": upgrade boot -- ${words.join(' ')}`);
  if (at >= 0 && given.length === 0) throw usage('Nothing stands after "--".');
  return at < 0 ? null : given;
}
