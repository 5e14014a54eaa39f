// The output of one half of a step: scrubbed, escaped and capped into its log file, a sample of it as events, and the last lines kept for failures.
// Works on blocks, not lines: a step that prints a gigabyte must cost neither memory nor time.
import { setFlagsFromString } from 'node:v8';
import { createLogFile } from './log-file.ts';

export type OutputStream = 'stdout' | 'stderr' | 'log';

export interface OutputRequest {
  readonly file: string;
  readonly scrub: (text: string) => string;
  /** The host's own lines in the stream begin with this; `null` for processes that have none. */
  readonly controlPrefix: string | null;
  readonly onLine: (stream: OutputStream, line: string) => void;
  /** The log file could not be written: the step goes on without. */
  readonly onLogProblem: (problem: string) => void;
}

export interface Output {
  readonly write: (stream: 'stdout' | 'stderr', chunk: Buffer) => void;
  /** Both streams have come to the end of the step. */
  readonly isComplete: () => boolean;
  /** Called once, when the output becomes complete. */
  readonly whenComplete: (listener: () => void) => void;
  /** Writes what is left and gives the last lines. */
  readonly close: () => readonly string[];
}

const headBytes = 4 * 1024 * 1024;
/** From here on it may become a flood. */
const muchBytes = 256 * 1024;
const tailBytes = 64 * 1024;
const longestLine = 8 * 1024;
const lastLines = 20;
const linesPerSecond = 200;

interface StreamState {
  carry: Buffer;
  isComplete: boolean;
  /** The end of the last chunk, for a control line that is cut in two. */
  seam: Buffer;
}

export function createOutput(request: OutputRequest): Output {
  const states: Record<'stdout' | 'stderr', StreamState> = { stdout: newState(), stderr: newState() };
  const { controlPrefix } = request;
  const endMark = controlPrefix === null ? null : Buffer.from(`${controlPrefix}E`);
  const log = createLogFile(request.file, request.onLogProblem);
  const budget = createBudget(linesPerSecond);
  const recent: string[] = [];
  let recentSize = 0;
  const tail = createTail(tailBytes);
  let received = 0;
  let floodSize = 0;
  let isMuch = false;
  let onComplete: (() => void) | null = null;

  const complete = (state: StreamState): void => {
    state.isComplete = true;
    if (states.stdout.isComplete && states.stderr.isComplete) onComplete?.();
  };

  const remember = (text: string): void => {
    recent.push(text);
    recentSize += text.length;
    while (recentSize - (recent[0]?.length ?? recentSize) > tailBytes) recentSize -= recent.shift()?.length ?? 0;
  };

  const emit = (stream: OutputStream, text: string): void => {
    const clean = cleanText(request.scrub(text));
    log.write(clean);
    remember(clean);
    emitLines(stream, clean, budget, request.onLine);
  };

  // A block is whole lines. Lines of the host's own are rare, so that most blocks go through in one piece.
  const block = (stream: 'stdout' | 'stderr', text: string): void => {
    if (controlPrefix === null || !text.includes(controlPrefix)) return emit(stream, text);
    for (const line of text.split(/(?<=\n)/)) {
      const at = line.indexOf(controlPrefix);
      if (at < 0) {
        emit(stream, line);
        continue;
      }
      if (at > 0) emit(stream, `${line.slice(0, at)}\n`); // The step's last line had no end.
      const control = line.slice(at + controlPrefix.length);
      if (control.startsWith('L')) emit('log', control.slice(1));
      else complete(states[stream]);
    }
  };

  const flood = (stream: 'stdout' | 'stderr', chunk: Buffer): void => {
    const state = states[stream];
    floodSize += chunk.length;
    tail.push(chunk);
    if (endMark !== null) {
      const seam = Buffer.concat([state.seam, chunk.subarray(0, endMark.length)]);
      if (chunk.includes(endMark) || seam.includes(endMark)) complete(state);
      state.seam = Buffer.from(chunk.subarray(-endMark.length));
    }
    glimpse(stream, chunk);
    freeChunk(chunk);
  };

  const glimpse = (stream: 'stdout' | 'stderr', chunk: Buffer): void => {
    // A sample, so that whoever watches sees that it goes on.
    if (!budget.take(20)) return;
    const [, line] = /(?:^|\n)([^\n]*)\n[^\n]*$/.exec(chunk.subarray(-longestLine).toString('utf8')) ?? [];
    if (line !== undefined) emitLines(stream, cleanText(request.scrub(stripControl(line, controlPrefix))), budget, request.onLine);
  };

  return {
    write: (stream, chunk) => {
      const state = states[stream];
      // What came counts, not what was logged: of an endless line little is logged, and turning it into text costs all the same.
      received += chunk.length;
      if (!isMuch && received > muchBytes) {
        isMuch = true;
        keepYoungSpaceSmall(true);
      }
      if (received > headBytes) return flood(stream, chunk);
      const joined = state.carry.length === 0 ? chunk : Buffer.concat([state.carry, chunk]);
      const end = joined.lastIndexOf(10) + 1;
      if (end > 0) block(stream, joined.toString('utf8', 0, end));
      state.carry = Buffer.from(joined.subarray(end));
      if (state.carry.length > tailBytes) {
        block(stream, `${state.carry.toString('utf8')}\n`);
        state.carry = Buffer.alloc(0);
      }
      freeChunk(chunk);
    },
    isComplete: () => states.stdout.isComplete && states.stderr.isComplete,
    whenComplete: (listener) => {
      onComplete = listener;
    },
    close: () => {
      if (isMuch) keepYoungSpaceSmall(false);
      for (const stream of ['stdout', 'stderr'] as const) {
        const { carry } = states[stream];
        if (carry.length > 0) block(stream, `${carry.toString('utf8')}\n`);
      }
      if (floodSize > 0) {
        const kept = tail.bytes();
        const text = kept.toString('utf8');
        // The first line is cut somewhere, perhaps inside a secret.
        const whole = floodSize > kept.length ? text.slice(text.indexOf('\n') + 1) : text;
        const clean = cleanText(request.scrub(stripControl(whole, controlPrefix)));
        log.write(`… ${floodSize - Buffer.byteLength(whole)} bytes left out …\n${clean}`);
        remember(clean);
      }
      log.close();
      return recent
        .join('')
        .split('\n')
        .filter((line) => line !== '')
        .slice(-lastLines);
    },
  };
}

function newState(): StreamState {
  return { carry: Buffer.alloc(0), isComplete: false, seam: Buffer.alloc(0) };
}

function stripControl(text: string, prefix: string | null): string {
  return prefix === null ? text : text.replaceAll(`${prefix}E\n`, '').replaceAll(`${prefix}L`, '');
}

/** Long lines cut, control and escape characters made visible: a log that is shown must not steer the terminal. */
function cleanText(text: string): string {
  return text
    .replace(/\r\n/g, '\n')
    .replace(/[^\n]{8193,}/g, (line) => `${line.slice(0, longestLine)} … ${line.length - longestLine} characters cut`)
    .replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** Frees the chunk's memory now: left to the garbage collector, a fast flood holds some 70 MB of it at any time. Nobody may read the chunk again. */
function freeChunk({ buffer, byteLength }: Buffer): void {
  // A chunk that fills its buffer owns it. Node lets only smaller ones share one.
  if (buffer instanceof ArrayBuffer && byteLength > Buffer.poolSize / 2 && buffer.byteLength === byteLength) buffer.transfer(0);
}

/** V8 answers a flood of short-lived chunks by growing its young space by some 50 MB, and keeps it. 2 is its own factor. */
function keepYoungSpaceSmall(isSmall: boolean): void {
  setFlagsFromString(`--semi-space-growth-factor=${isSmall ? 1 : 2}`);
}

interface Tail {
  readonly push: (chunk: Buffer) => void;
  readonly bytes: () => Buffer;
}

/** The last bytes of a stream in one buffer that is made once: garbage made at the speed of a flood would be memory. */
function createTail(size: number): Tail {
  let ring: Buffer | null = null;
  let written = 0;
  return {
    push: (chunk) => {
      ring ??= Buffer.alloc(size);
      const part = chunk.subarray(-size);
      const at = written % size;
      const fitting = part.copy(ring, at);
      part.copy(ring, 0, fitting);
      written += part.length;
    },
    bytes: () => {
      if (ring === null) return Buffer.alloc(0);
      const at = written % size;
      return written < size ? ring.subarray(0, written) : Buffer.concat([ring.subarray(at), ring.subarray(0, at)]);
    },
  };
}

interface Budget {
  /** Whether so much is left; takes one. */
  readonly take: (reserve?: number) => boolean;
}

/** Refilled evenly, so that a flood never becomes a flood of events. */
function createBudget(perSecond: number): Budget {
  let left = perSecond;
  let at = performance.now();
  return {
    take: (reserve = 1) => {
      const now = performance.now();
      left = Math.min(perSecond, left + ((now - at) / 1000) * perSecond);
      at = now;
      if (left < reserve) return false;
      left -= 1;
      return true;
    },
  };
}

/** Only as many lines are cut out of the block as may be shown. */
function emitLines(stream: OutputStream, text: string, budget: Budget, onLine: OutputRequest['onLine']): void {
  for (let start = 0; start < text.length;) {
    const found = text.indexOf('\n', start);
    const end = found < 0 ? text.length : found;
    if (!budget.take()) return;
    onLine(stream, text.slice(start, end));
    start = end + 1;
  }
}
