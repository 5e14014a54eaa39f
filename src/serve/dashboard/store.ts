// Everything that the page knows, and how it comes to know it. Given a token, promises to keep it fresh for as long as the page is open.
import { useEffect, useReducer, useRef } from 'preact/hooks';
import { ask, follow, TokenRefused, type Followed } from './client.ts';
import { applyEvent } from './live-run.ts';
import type { Backup, Event, Graph, Progress, Run, RunSummary, Services, Status } from './types.ts';

export interface Known {
  readonly connection: 'connecting' | 'here' | 'away';
  /** Why the API is away, or the token was refused. */
  readonly problem: string | null;
  readonly isRefused: boolean;
  readonly status: Status | null;
  readonly run: Run | null;
  readonly runs: readonly RunSummary[];
  readonly graph: Graph | null;
  readonly backups: readonly Backup[];
  readonly services: Services | null;
  readonly progress: Progress | null;
  readonly output: readonly string[];
}

const nothing: Known = {
  connection: 'connecting',
  problem: null,
  isRefused: false,
  status: null,
  run: null,
  runs: [],
  graph: null,
  backups: [],
  services: null,
  progress: null,
  output: [],
};
const outputLines = 200;
// Groups of steps take effect together, and only the last of each is told: now and then the run is looked at as a whole.
const wholeEveryMs = 3_000;

export function useInstallation(token: string | null): Known {
  const [known, tell] = useReducer((before: Known, change: (before: Known) => Known) => change(before), nothing);
  const latest = useRef(known);
  latest.current = known;

  useEffect(() => {
    if (token === null) return;
    const stopping = new AbortController();
    const { signal } = stopping;
    const set = (change: Partial<Known> | ((before: Known) => Partial<Known>)): void => {
      if (!signal.aborted) tell((before) => ({ ...before, ...(typeof change === 'function' ? change(before) : change) }));
    };
    const failed = (error: unknown): void => {
      const problem = error instanceof Error ? error.message : String(error);
      set({ connection: 'away', problem, isRefused: error instanceof TokenRefused });
    };
    const get = <T>(path: string): Promise<T> => ask<T>(path, token, signal);
    const lookAtRun = async (): Promise<void> => {
      const { runs } = await get<{ runs: readonly RunSummary[] }>('/api/v1/runs?limit=60');
      const [newest] = runs;
      const run = newest === undefined ? null : await get<Run>(`/api/v1/runs/${newest.id}`);
      set((before) => ({
        runs,
        run: run !== null && before.run !== null && before.run.id === run.id && before.run.seq > run.seq ? before.run : run,
        ...(before.run?.id === run?.id ? {} : { output: [], progress: null }),
      }));
    };
    const lookAround = async (): Promise<void> => {
      const [graph, { backups }, services] = await Promise.all([
        get<Graph>('/api/v1/graph'),
        get<{ backups: readonly Backup[] }>('/api/v1/backups'),
        get<Services>('/api/v1/services'),
      ]);
      set({ graph, backups, services });
    };
    const heard = (events: readonly Followed[]): void => {
      const runEvents = events.flatMap(({ type, data }) => (type === 'run' ? [data as Event] : []));
      const isOther = runEvents.some(({ runId }) => runId !== latest.current.run?.id);
      const isEnd = runEvents.some(({ type }) => type === 'run-finished' || type === 'backup-verified');
      set((before) => {
        let { run, status, progress, output } = before;
        for (const { type, data } of events) {
          if (type === 'run' && run !== null) run = applyEvent(run, data as Event);
          else if (type === 'status') status = data as Status;
          else if (type === 'progress') ({ progress } = data as { progress: Progress | null });
          else if (type === 'output') output = [...output, ...(data as { lines: readonly string[] }).lines].slice(-outputLines);
        }
        return { run, status, progress, output };
      });
      if (isOther || isEnd) void lookAtRun().catch(failed);
      if (isEnd || events.some(({ type }) => type === 'status')) void lookAround().catch(() => undefined);
    };

    const begin = async (): Promise<void> => {
      for (;;) {
        try {
          set({ status: await get<Status>('/api/v1/status') });
          await lookAtRun();
          break;
        } catch (error) {
          if (signal.aborted) return;
          failed(error);
          if (error instanceof TokenRefused) return;
          await new Promise((resolve) => setTimeout(resolve, 1_000));
        }
      }
      set({ connection: 'here', problem: null, isRefused: false });
      void lookAround().catch(() => undefined);
      let isFirst = true;
      await follow({
        token,
        signal,
        after: () => (latest.current.run === null ? null : `${latest.current.run.id}:${latest.current.run.seq}`),
        onOpen: () => {
          set({ connection: 'here', problem: null, isRefused: false });
          // While the API was away, more may have happened than events tell.
          if (!isFirst)
            void lookAtRun()
              .then(lookAround)
              .catch(() => undefined);
          isFirst = false;
        },
        onEvents: heard,
        onAway: failed,
      });
    };
    void begin();
    const whole = setInterval(() => {
      const { run, connection } = latest.current;
      if (connection === 'here' && run !== null && run.outcome === null) void lookAtRun().catch(() => undefined);
    }, wholeEveryMs);
    return () => {
      stopping.abort();
      clearInterval(whole);
    };
  }, [token]);
  return known;
}
