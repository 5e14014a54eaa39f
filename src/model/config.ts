// `upgrade.yaml` after loading: defaults filled in, paths absolute, durations in milliseconds.
export interface Config {
  /** The file it came from, absolute. */
  readonly file: string;
  readonly product: string;
  /** Installation root, absolute, links resolved. */
  readonly root: string;
  readonly version: VersionSource;
  readonly migrations: string;
  readonly ladders: Readonly<Record<string, LadderConfig>>;
  /** State folder, absolute. */
  readonly state: string;
  readonly journal: { readonly kind: 'sqlite' } | { readonly kind: 'postgres'; readonly url: string };
  readonly databases: Readonly<Record<string, DatabaseConfig>>;
  readonly backup: BackupConfig;
  readonly services: Readonly<Record<string, ServiceConfig>>;
  /** How many services are acted on at once. */
  readonly parallelRestarts: number;
  /** How long services and probes are watched after all of them were well. */
  readonly soakMs: number;
  readonly verify: readonly ProbeConfig[];
  readonly timeouts: { readonly stepMs: number; readonly lockMs: number; readonly totalMs: number };
  readonly boot: BootConfig;
  readonly notify: readonly NotifyConfig[];
  readonly metrics: { readonly textfile: string | null };
  /** Values that came from `${…}`: never printed, logged or served. */
  readonly secrets: readonly string[];
}

export type NotifyTemplate = 'json' | 'ntfy' | 'slack' | 'discord';

export interface NotifyConfig {
  /** Tells it from the others in the journal, and stays when they change: its name, or a digest of its URL. */
  readonly key: string;
  /** For people. */
  readonly name: string;
  readonly webhook: string;
  /** Outcomes. */
  readonly on: readonly string[];
  readonly template: NotifyTemplate;
  /** What messages are signed with. */
  readonly secret: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

export type VersionSource =
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'json'; readonly file: string; readonly pointer: string }
  | { readonly kind: 'command'; readonly command: readonly string[] }
  | { readonly kind: 'journal' };

export interface LadderCommon {
  /** `keep`: the steps before a failing one stay. */
  readonly onFailure: 'rollback' | 'keep';
  /** Folder of the steps, absolute. */
  readonly dir: string;
  /** All pending SQL steps in one transaction. */
  readonly group: boolean;
  /** What brings an empty database straight to the top: an SQL file or a module, or a folder of numbered steps. Absolute. */
  readonly fresh: string | null;
  /** The record of the tool that was there before is kept up to date: `has_run`, `schema_migrations`, `migrations`. */
  readonly writeBack: boolean;
}

export type LadderConfig = LadderCommon &
  ({ readonly kind: 'folder'; readonly database: string | null } | { readonly kind: 'index'; readonly index: string });

export type DatabaseConfig =
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'postgres'; readonly url: string; readonly attempts: number; readonly backoffMs: number };

/** What a boot does when the installation could not be brought up to date: leave, or start all the same. */
export type BootOnFailure = 'stop' | 'start-anyway';

export interface BootConfig {
  readonly onFailure: BootOnFailure;
  /** `null`: those of `timeouts`. */
  readonly lockMs: number | null;
  readonly totalMs: number | null;
}

export interface BackupConfig {
  readonly dir: string;
  /** Paths relative to the root; `null` is the whole root. State and backups are never in it. */
  readonly include: readonly string[] | null;
  /** Glob patterns relative to the root. */
  readonly exclude: readonly string[];
  /** What becomes of what services that run on have written since the backup. */
  readonly onDrift: 'report' | 'restore' | 'ask';
  readonly keep: number;
  /** Those that are younger stay whatever `keep` says; `null`: none for its age. */
  readonly keepDays: number | null;
  /** Databases are restored into scratch ones before a backup counts. */
  readonly restoreTest: boolean;
  /** By name; Docker volumes are among them, as `volume.NAME`. */
  readonly commands: Readonly<Record<string, CommandSource>>;
  readonly afterBackup: AfterBackup | null;
  /** age recipients; empty is not encrypted. */
  readonly recipients: readonly string[];
}

/** What is saved and put back by commands alone. */
export interface CommandSource {
  /** Prints it. */
  readonly backup: readonly string[];
  /** Reads it, and puts it in the place of what is there. */
  readonly restore: readonly string[];
  /** Prints the same as long as nothing has changed; `null`: nobody can say whether it has. */
  readonly digest: readonly string[] | null;
  readonly timeoutMs: number;
}

/** A command that is given each verified backup. */
export interface AfterBackup {
  readonly command: readonly string[];
  readonly timeoutMs: number;
  readonly onFailure: 'warn' | 'fail';
}

export interface ServiceCommon {
  readonly name: string;
  readonly after: readonly string[];
  readonly stopDuringUpgrade: boolean;
  readonly timeoutMs: number;
  readonly stableForMs: number;
  /** Paths relative to the root, or `database:<name>`. */
  readonly writes?: readonly string[];
}

export type ServiceConfig = ServiceCommon &
  (
    | {
        readonly kind: 'command';
        /** Each is an argument vector, run in the root. `health` exits 0 when well. `status` prints the identity (a PID). */
        readonly commands: {
          readonly restart: readonly string[] | null;
          readonly stop: readonly string[] | null;
          readonly start: readonly string[] | null;
          readonly health: readonly string[] | null;
          readonly status: readonly string[] | null;
        };
        /** Where the service keeps its PID, absolute; the identity of the process where `status` is not given. */
        readonly pidFile: string | null;
      }
    | { readonly kind: 'systemd'; readonly unit: string; readonly scope: 'system' | 'user' }
    | { readonly kind: 'docker'; readonly container: string | { readonly label: string } }
    | { readonly kind: 'compose'; readonly file: string; readonly service: string }
  );

interface ProbeCommon {
  readonly name: string;
  /** How long it may take to pass; it is tried again with back-off until then. */
  readonly withinMs: number;
}

/** How an https address proves who it is, and we who we are. Files are absolute. */
export interface TlsConfig {
  /** Certificates to trust in place of the machine's. */
  readonly caFile: string | null;
  readonly client: { readonly certFile: string; readonly keyFile: string } | null;
  /** The name that its certificate has to be for, where that is not the address's. */
  readonly serverName: string | null;
  /** Any certificate will do. */
  readonly isInsecure: boolean;
}

export type ProbeConfig = ProbeCommon &
  (
    | {
        readonly kind: 'http';
        readonly url: string;
        readonly expect: {
          readonly status: number;
          /** JSON pointer to expected value. */
          readonly json: Readonly<Record<string, unknown>>;
          readonly headers: Readonly<Record<string, string>>;
          /** A regular expression that the body matches. */
          readonly body: string | null;
        };
        /** `null`: as the machine trusts. */
        readonly tls: TlsConfig | null;
      }
    | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
    | {
        readonly kind: 'command';
        readonly command: readonly string[];
        readonly expect: { readonly exitCode: number; readonly stdout: string | null };
      }
    | {
        readonly kind: 'file';
        readonly file: string;
        readonly expect: { readonly exists: boolean; readonly contains: string | null; readonly mode: number | null };
      }
    | { readonly kind: 'sqlite'; readonly database: string; readonly query: string; readonly expect: { readonly value: unknown } }
    | { readonly kind: 'postgres'; readonly database: string; readonly query: string; readonly expect: { readonly value: unknown } }
    | { readonly kind: 'docker' | 'systemd'; readonly service: string }
  );
