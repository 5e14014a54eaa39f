// A plan is the frozen list of transitions and steps, with their SHA-256, that leads from one version to another.
import type { Failure } from './failure.ts';
import type { Version } from './version.ts';

export type StepKind = 'ts' | 'js' | 'sql' | 'sh' | 'py';

/** What a step says of itself, in whichever form its kind has. */
export interface StepMetadata {
  readonly description: string;
  /** Service names; `*` is all. */
  readonly requiresRestart: readonly string[];
  readonly breaking: boolean;
  readonly estimatedDurationMs: number | null;
  readonly timeoutMs: number | null;
  /** Safe to run again when its outcome is unknown. */
  readonly idempotent: boolean;
  /** The database of an SQL step. */
  readonly database: string | null;
  /** An SQL step runs in one transaction with its marker row. */
  readonly transaction: boolean;
  /** Has a `check()` that tells whether it is applied. */
  readonly hasCheck: boolean;
  /** Paths that the step changes and that the backup must hold, relative to the root. */
  readonly backup: readonly string[];
  /** Most memory that the step's processes may use together, in bytes. */
  readonly memoryBytes: number | null;
  /** PostgreSQL's `lock_timeout` and `statement_timeout` while the step runs. */
  readonly lockTimeoutMs: number | null;
  readonly statementTimeoutMs: number | null;
}

export interface Step extends StepMetadata {
  /** `v0.1.0_to_v0.2.0/001_add_email` */
  readonly id: string;
  readonly number: number;
  readonly name: string;
  readonly kind: StepKind;
  /** File names inside the transition folder; `backward` differs only for `.up.sql` with `.down.sql`. */
  readonly forwardFile: string;
  readonly backwardFile: string | null;
  /** Of the file's bytes (of both, where there are two), hex. */
  readonly sha256: string;
  readonly hasBackward: boolean;
  /** A module whose text shows that it does nothing but through the handle of one database: its marker row decides what became of it. */
  readonly isDatabaseOnly: boolean;
  /** It can be undone: by its backward, or, for modules, from what was recorded. */
  readonly isReversible: boolean;
  /** A script of another system's ladder: run as it is, with nothing said of a direction. */
  readonly isPlainScript: boolean;
}

/** Between two versions, and not of a ladder. */
export type VersionTransition = Transition & TransitionHeader;

export interface TransitionFile {
  /** Relative to the transition folder, `/` between parts. */
  readonly path: string;
  readonly sha256: string;
}

export interface Requirements {
  readonly diskBytes: number | null;
  readonly memoryBytes: number | null;
  readonly commands: readonly string[];
  readonly services: readonly string[];
  readonly env: readonly string[];
}

/** The part of a ladder that a plan climbs, or climbs down. */
export interface Climb {
  readonly ladder: string;
  readonly direction: PlanDirection;
  readonly onFailure: 'rollback' | 'keep';
  /** All its steps run in one transaction. */
  readonly group: boolean;
  /** Heights before and after; 0 is the ground. */
  readonly fromHeight: number;
  readonly toHeight: number;
  /** Its one step makes an empty database as it is at the top: the steps up to there count as applied. */
  readonly isFresh: boolean;
  /** What becomes applied (or, downwards, is no longer), in running order. */
  readonly rungs: readonly Rung[];
}

/** A step of a ladder as it is recorded. */
export interface Rung {
  readonly number: number;
  readonly name: string;
  readonly sha256: string;
}

/** A container image, and where it comes from. */
export interface ImageSource {
  readonly image: string;
  /** Relative to the transition folder: what `docker save` wrote. `null`: a registry. */
  readonly file: string | null;
  /** Of the file, hex; none where it was not there when the plan was made. */
  readonly sha256?: string;
  /** Which one exactly: known for an image that a downgrade goes back to. */
  readonly id?: string;
}

/** An image that a transition gives to a service; `file` is absolute. */
export interface NeededImage extends ImageSource {
  readonly service: string;
  /** Who asks for it, for people. */
  readonly transition: string;
}

/** What the path is chosen by: a transition without its files and steps. */
export interface TransitionHeader {
  /** The folder's name, `v0.1.0_to_v0.2.0`. */
  readonly id: string;
  readonly from: Version;
  readonly to: Version;
  /** Absolute. */
  readonly dir: string;
  readonly description: string;
  readonly breaking: boolean;
  readonly stop: boolean;
  readonly blocked: string | null;
  readonly requires: Requirements;
  /** Service to the image that it gets; in a downgrade the one that it goes back to. */
  readonly images: Readonly<Record<string, ImageSource>>;
  /** Ladder name to the height that belongs to `to`. */
  readonly ladders: Readonly<Record<string, number>>;
}

/** A transition folder as it was read, with its metadata; or, where `climb` is set, a part of a ladder, which has no versions of its own. */
export interface Transition extends Omit<TransitionHeader, 'from' | 'to'> {
  readonly from: Version | null;
  readonly to: Version | null;
  /** Every file that a step may need, step files and `_helper` files. */
  readonly files: readonly TransitionFile[];
  /** In numeric order; of an index ladder in the order of the index. */
  readonly steps: readonly Step[];
  readonly climb: Climb | null;
}

/** `up` runs forwards; `down` (a downgrade) runs the backwards of the committed path. */
export type PlanDirection = 'up' | 'down';

export interface Plan {
  readonly product: string;
  /** `null` only for a plan of ladders alone, where no version is installed. */
  readonly from: Version | null;
  readonly to: Version | null;
  readonly direction: PlanDirection;
  /** In the order in which they run: downwards for a downgrade, and their steps too. */
  readonly transitions: readonly Transition[];
  /** `sha256:…` over everything above that decides what is executed. */
  readonly hash: string;
}

export type FindingLevel = 'block' | 'warn' | 'info';

export interface Finding {
  readonly level: FindingLevel;
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly place?: Failure['place'];
}

/** The climbs of a plan, in running order. */
export function climbsOf(plan: Plan): readonly Climb[] {
  return plan.transitions.flatMap(({ climb }) => climb ?? []);
}

/** The images that a plan gives to services, in running order; the files are absolute. */
export function imagesOf(plan: Plan): readonly NeededImage[] {
  return plan.transitions.flatMap(({ id: transition, dir, images }) =>
    Object.entries(images).map(([service, { file, ...source }]) => ({
      ...source,
      service,
      file: file === null ? null : `${dir}/${file}`,
      transition,
    })),
  );
}

/** All steps of a plan, in running order. */
export function stepsOf(plan: Plan): readonly Step[] {
  return plan.transitions.flatMap(({ steps }) => steps);
}
