// What a reporter is: it hears every event of a run and gets the result at its end. It never steers, and never fails a run.
import type { UpgradeEvent } from '../model/event.ts';
import type { ResultDocument } from '../model/run.ts';

export interface Reporter {
  onEvent(event: UpgradeEvent): void;
  finish(result: ResultDocument): void;
  /** What somebody else has to say meanwhile, where the reporter draws on the terminal: it may not be written past it. */
  aside?(text: string): void;
  /** Lets go of the terminal where the run ends without a result. */
  close?(): void;
}

export type Verbosity = 'quiet' | 'normal' | 'verbose';

export type Scrub = (text: string) => string;

/** For what was scrubbed before. */
export const asItIs: Scrub = (text) => text;
