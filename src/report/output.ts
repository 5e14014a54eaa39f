// A stream that is written to without fear: a reader that has gone, or a full disk under a redirect, never fails a run.
export interface Output {
  write(text: string): void;
  /** Columns of the terminal; 80 where it is none, or does not tell. */
  readonly columns: number;
  /** Lines of the terminal; 24 where it is none, or does not tell. */
  readonly rows: number;
  readonly isTerminal: boolean;
  /** Hears of another size of the terminal; gives the way to stop listening. */
  onResize(listener: () => void): () => void;
}

/** What is used of a `NodeJS.WriteStream`; tests give a small one of their own. */
export interface WritableEnd {
  write(text: string): unknown;
  on?(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
  on?(event: 'resize', listener: () => void): unknown;
  off?(event: 'resize', listener: () => void): unknown;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  readonly isTTY?: boolean | undefined;
}

const defaultColumns = 80;
const defaultRows = 24;
/** Below this the terminal wraps: our own lines would be shreds. */
const fewestColumns = 40;

/** `problems` hears once why nothing more is written, but not of a reader that has closed its end (`upgrade | head`): that is its right. */
export function createOutput(stream: WritableEnd, problems: (message: string) => void = () => undefined): Output {
  let isClosed = false;
  const close = (error: NodeJS.ErrnoException) => {
    if (isClosed) return;
    isClosed = true;
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED')
      problems(`The output cannot be written any more: ${error.message}`);
  };
  stream.on?.('error', close);
  return {
    write(text) {
      if (isClosed) return;
      try {
        stream.write(text);
      } catch (error) {
        close(error instanceof Error ? error : new Error(String(error)));
      }
    },
    get columns() {
      // A terminal that does not know its size says 0.
      return stream.columns === undefined || stream.columns === 0 ? defaultColumns : Math.max(stream.columns, fewestColumns);
    },
    get rows() {
      return stream.rows === undefined || stream.rows === 0 ? defaultRows : stream.rows;
    },
    isTerminal: stream.isTTY === true,
    onResize(listener) {
      stream.on?.('resize', listener);
      return () => void stream.off?.('resize', listener);
    },
  };
}
