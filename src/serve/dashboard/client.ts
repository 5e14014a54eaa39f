// Asks the API and follows its events. Given a token, promises to try again for as long as the API is away, and to miss no event in between.
export class TokenRefused extends Error {}

export async function ask<T>(path: string, token: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(path, {
    headers: { authorization: `Bearer ${token}` },
    cache: 'no-store',
    ...(signal === undefined ? {} : { signal }),
  });
  if (response.status === 401 || response.status === 403) throw new TokenRefused(await problem(response));
  if (!response.ok) throw new Error(await problem(response));
  return (await response.json()) as T;
}

async function problem(response: Response): Promise<string> {
  try {
    const { failure } = (await response.json()) as { failure: { message: string; hint: string } | null };
    return failure === null ? `It answered ${response.status}.` : `${failure.message} ${failure.hint}`;
  } catch {
    return `It answered ${response.status}.`;
  }
}

export interface Followed {
  /** `run`, `status`, `progress`, `output` */
  readonly type: string;
  readonly data: unknown;
}

interface Follow {
  readonly token: string;
  /** Where to go on: `run:number`. */
  readonly after: () => string | null;
  readonly onOpen: () => void;
  readonly onEvents: (events: readonly Followed[]) => void;
  readonly onAway: (error: unknown) => void;
  readonly signal: AbortSignal;
}

const silentForMs = 40_000;

/** `EventSource` cannot send a token, so the stream is read by hand. Ends when the signal says so. */
export async function follow({ token, after, onOpen, onEvents, onAway, signal }: Follow): Promise<void> {
  for (let waitMs = 500; !signal.aborted; waitMs = Math.min(5_000, waitMs * 2)) {
    const connection = new AbortController();
    const stop = (): void => connection.abort();
    signal.addEventListener('abort', stop);
    // A connection that is dead says nothing: neither events nor signs of life.
    let watchdog = setTimeout(stop, silentForMs);
    try {
      const place = after();
      const response = await fetch(`/api/v1/events${place === null ? '' : `?after=${place}`}`, {
        headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
        cache: 'no-store',
        signal: connection.signal,
      });
      if (response.status === 401 || response.status === 403) throw new TokenRefused(await problem(response));
      if (!response.ok || response.body === null) throw new Error(await problem(response));
      onOpen();
      waitMs = 250;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        clearTimeout(watchdog);
        watchdog = setTimeout(stop, silentForMs);
        text += value;
        const end = text.lastIndexOf('\n\n');
        if (end < 0) continue;
        const frames = text.slice(0, end).split('\n\n');
        text = text.slice(end + 2);
        onEvents(frames.flatMap(parseFrame));
      }
      throw new Error('The connection has ended.');
    } catch (error) {
      if (signal.aborted) return;
      onAway(error);
      if (error instanceof TokenRefused) return;
    } finally {
      clearTimeout(watchdog);
      signal.removeEventListener('abort', stop);
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

function parseFrame(frame: string): readonly Followed[] {
  let type = '';
  let data = '';
  for (const line of frame.split('\n')) {
    if (line.startsWith('event: ')) type = line.slice(7);
    else if (line.startsWith('data: ')) data += line.slice(6);
  }
  return type === '' || data === '' ? [] : [{ type, data: JSON.parse(data) as unknown }];
}
