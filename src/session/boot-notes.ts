// What a boot has to tell that is no part of a run: whom it waits for, and what it takes up.
import type { Failure } from '../model/failure.ts';

export type BootNote =
  /** `AUTO_MIGRATE` says no. */
  | { readonly type: 'disabled' }
  /** A database that does not answer yet; told once. `server` is without user and password. */
  | { readonly type: 'connecting'; readonly name: string; readonly server: string }
  /** `held` names the holder, its phase and since when; told when waiting begins, and every ten seconds. */
  | { readonly type: 'waiting'; readonly waitedMs: number; readonly limitMs: number; readonly held: Failure }
  | { readonly type: 'resuming'; readonly runId: string };
