// The log of a run out of its files, from any process: what is there, and, followed, what comes until the run is over. Of one step its whole output, of
// which the run's own log keeps a part. Given without secrets, as everything that leaves.
import { closeSync, existsSync, openSync, readSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Config } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import { nearest } from '../model/nearest.ts';
import type { Clock } from '../model/ports.ts';
import type { LogLine } from '../report/log-lines.ts';
import { createScrubber, scrubValue } from '../report/scrub.ts';
import { currentHolder } from './journal-target.ts';
import { readJournal } from './journals.ts';
import { runDir } from './held-run.ts';

export interface LogsRequest {
  /** The latest run where it is left out. */
  readonly runId?: string;
  /** Its id, or the part behind the slash where only one step is called so. */
  readonly step?: string;
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

const pollMs = 150;
// A run without a holder is over, or was killed; it gets this many looks to write its last lines.
const looksAfterHolder = 3;

/** Throws RUN_UNKNOWN, LOG_MISSING, LOG_STEP_UNKNOWN. */
export async function* readLogs(config: Config, clock: Clock, request: LogsRequest): AsyncGenerator<LogLine> {
  const { id, step, outcome } = await whatIsAsked(config, request);
  const dir = runDir(config, id);
  const own = path.join(dir, 'run.log');
  if (!existsSync(own)) throw fail('LOG_MISSING', { run: id, file: own });
  const scrub = createScrubber(config.secrets);
  const read = createTails();
  const isWanted = (entry: Entry): boolean => step === null || (entry.step === step && entry.type !== 'step-output');
  const outputOf = (file: string): LogLine[] => [...read(file)].map((line) => ({ kind: 'output', step: step ?? '', line: scrub(line) }));
  const output = (...actions: readonly Action[]): LogLine[] =>
    step === null ? [] : actions.flatMap((action) => outputFiles(dir, step, action)).flatMap(outputOf);
  let isOver = outcome;
  let looksLeft = looksAfterHolder;
  for (;;) {
    let hasNews = false;
    for (const text of read(own)) {
      const entry = parse(text);
      if (entry === null) continue;
      hasNews = true;
      if (entry.type === 'run-finished') isOver = true;
      if (!isWanted(entry)) continue;
      // What it printed comes before the line that says how it ended.
      if (entry.type === 'step-finished') yield* entry.action === 'apply' ? output('apply') : output('apply', 'revert');
      const { time, level, msg, ...fields } = scrubValue(entry, scrub);
      yield { kind: 'entry', time, level, msg, fields };
    }
    yield* output('apply', 'revert');
    if (request.follow !== true || isOver || request.signal?.aborted === true) return;
    looksLeft = hasNews || (await currentHolder(config)) !== null ? looksAfterHolder : looksLeft - 1;
    if (looksLeft <= 0) return;
    await clock.sleep(pollMs, request.signal).catch(() => undefined);
  }
}

async function whatIsAsked(
  config: Config,
  { runId, step }: LogsRequest,
): Promise<{ readonly id: string; readonly step: string | null; readonly outcome: boolean }> {
  return readJournal(config, async (journal) => {
    const run = (runId === undefined ? (await journal?.runs(1))?.[0] : await journal?.run(runId)) ?? null;
    if (journal === null || run === null) throw fail('RUN_UNKNOWN', { id: runId ?? '(none was ever begun)' });
    const outcome = run.outcome !== null;
    if (step === undefined) return { id: run.id, step: null, outcome };
    const ids = (await journal.stepRecords(run.id)).map(({ stepId }) => stepId);
    const found = ids.filter((one) => one === step || one.endsWith(`/${step}`));
    const [only] = found;
    if (only === undefined || found.length > 1)
      throw fail('LOG_STEP_UNKNOWN', { step, run: run.id, found, nearest: nearest(step, [...ids, ...ids.map(shortName)]) });
    return { id: run.id, step: only, outcome };
  });
}

function shortName(id: string): string {
  return id.slice(id.indexOf('/') + 1);
}

type Action = 'apply' | 'revert';

interface Entry {
  readonly time: string;
  readonly level: number;
  readonly msg: string;
  readonly type: string;
  readonly step?: string;
  readonly action?: Action;
}

/** `null`: a line that a kill has cut, or that nobody of ours wrote. */
function parse(text: string): Entry | null {
  try {
    const value: unknown = JSON.parse(text);
    const isEntry = typeof value === 'object' && value !== null && 'time' in value && 'level' in value && 'msg' in value && 'type' in value;
    // Written by our own log.
    return isEntry ? (value as Entry) : null;
  } catch {
    return null;
  }
}

/** What a step printed forwards, or on its way back. */
function outputFiles(dir: string, step: string, action: Action): readonly string[] {
  const folder = path.join(dir, 'logs', path.dirname(step));
  if (!existsSync(folder)) return [];
  const name = `${path.basename(step)}.`;
  return readdirSync(folder)
    .filter((file) => file.startsWith(name) && file.endsWith(`.${action}.log`))
    .toSorted()
    .map((file) => path.join(folder, file));
}

/** Reads of each file the whole lines that have come since it was read last. */
function createTails(): (file: string) => Iterable<string> {
  const offsets = new Map<string, number>();
  const block = Buffer.alloc(256 * 1024);
  return function* read(file) {
    let fd: number;
    try {
      fd = openSync(file, 'r');
    } catch {
      // Removed meanwhile: of an old run nothing is kept.
      return;
    }
    try {
      let rest: Buffer = Buffer.alloc(0);
      for (let at = offsets.get(file) ?? 0; ;) {
        const count = readSync(fd, block, 0, block.length, at);
        if (count === 0) return;
        at += count;
        const text = Buffer.concat([rest, block.subarray(0, count)]);
        const end = text.lastIndexOf(10) + 1;
        rest = Buffer.from(text.subarray(end));
        offsets.set(file, at - rest.length);
        if (end > 0) yield* text.toString('utf8', 0, end - 1).split('\n');
      }
    } finally {
      closeSync(fd);
    }
  };
}
