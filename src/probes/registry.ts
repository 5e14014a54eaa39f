// One probe per kind. A new kind is one file and one line here.
import type { Config, ProbeConfig } from '../model/config.ts';
import type { ServiceControl } from '../model/ports.ts';
import { probeCommand } from './command.ts';
import { probeFile } from './file.ts';
import { probeHttp } from './http.ts';
import { probePostgres } from './postgres.ts';
import { probeService } from './service.ts';
import { probeSqlite } from './sqlite.ts';
import { probeTcp } from './tcp.ts';

export type ProbeKind = ProbeConfig['kind'];
export type ProbeOf<K extends ProbeKind> = Extract<ProbeConfig, { readonly kind: K }>;

export interface ProbeContext {
  readonly config: Pick<Config, 'root' | 'databases' | 'services'>;
  readonly look: ServiceControl['look'];
  /** Aborted when the attempt has taken too long, or the run is cancelled. */
  readonly signal: AbortSignal;
  /** How long this attempt may take. */
  readonly limitMs: number;
}

/**
 * One attempt: `null` where it passed; else what was seen and what was expected, as one sentence without a full stop. May throw for the same.
 * A switch, because it is what makes the compiler see that probe and kind belong together.
 */
export function attempt(probe: ProbeConfig, context: ProbeContext): Promise<string | null> {
  switch (probe.kind) {
    case 'http':
      return probeHttp(probe, context);
    case 'tcp':
      return probeTcp(probe, context);
    case 'command':
      return probeCommand(probe, context);
    case 'file':
      return probeFile(probe);
    case 'sqlite':
      return probeSqlite(probe, context);
    case 'postgres':
      return probePostgres(probe, context);
    case 'docker':
    case 'systemd':
      return probeService(probe, context);
  }
}
