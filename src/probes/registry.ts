// One probe per kind. A new kind is one file and one line here.
import type { Config, ProbeConfig } from '../model/config.ts';
import { probeCommand } from './command.ts';
import { probeFile } from './file.ts';
import { probeHttp } from './http.ts';
import { probePostgres } from './postgres.ts';
import { probeSqlite } from './sqlite.ts';
import { probeTcp } from './tcp.ts';

export type ProbeKind = ProbeConfig['kind'];
export type ProbeOf<K extends ProbeKind> = Extract<ProbeConfig, { readonly kind: K }>;

export interface ProbeContext {
  readonly config: Pick<Config, 'root' | 'databases'>;
  /** Aborted when the attempt has taken too long, or the run is cancelled. */
  readonly signal: AbortSignal;
  /** How long this attempt may take. */
  readonly limitMs: number;
}

/** `null` where it passed; else what was seen and what was expected, as one sentence without a full stop. May throw for the same. */
export type Probe<K extends ProbeKind> = (probe: ProbeOf<K>, context: ProbeContext) => Promise<string | null>;

export const probes = {
  http: probeHttp,
  tcp: probeTcp,
  command: probeCommand,
  file: probeFile,
  sqlite: probeSqlite,
  postgres: probePostgres,
  docker: null,
  systemd: null,
} satisfies { readonly [K in ProbeKind]: Probe<K> | null };

/** Runs one attempt; `undefined` where nobody knows the kind yet. A switch, because it is what makes the compiler see that they belong together. */
export function attempt(probe: ProbeConfig, context: ProbeContext): Promise<string | null> | undefined {
  switch (probe.kind) {
    case 'http':
      return probes.http(probe, context);
    case 'tcp':
      return probes.tcp(probe, context);
    case 'command':
      return probes.command(probe, context);
    case 'file':
      return probes.file(probe);
    case 'sqlite':
      return probes.sqlite(probe, context);
    case 'postgres':
      return probes.postgres(probe, context);
    case 'docker':
    case 'systemd':
      return undefined;
  }
}
