// Which of the configured services this very process is a part of: what restarts that one ends this process in the middle of its work.
import { readFileSync } from 'node:fs';
import type { Config, ServiceConfig } from '../model/config.ts';
import type { ServiceControl } from '../model/ports.ts';
import { ownControlGroup } from '../processes/start-apart.ts';

const shortId = 12;

/** `null`: none of them, as far as can be told. Never throws: what cannot be asked is no reason to refuse a run. */
export async function ownService(
  config: Pick<Config, 'services'>,
  services: Pick<ServiceControl, 'inspect'>,
  place: OwnPlace = ownPlace(),
): Promise<ServiceConfig | null> {
  for (const service of Object.values(config.services)) {
    if (service.kind === 'systemd' && place.unit !== null) {
      if (service.scope === place.unit.scope && withSuffix(service.unit) === place.unit.name) return service;
    } else if ((service.kind === 'docker' || service.kind === 'compose') && place.container !== null) {
      const identity = await services.inspect(service).then(
        (state) => state.identity ?? '',
        () => '',
      );
      // It begins with the short form of the container's id.
      if (identity.startsWith(place.container.slice(0, shortId))) return service;
    }
  }
  return null;
}

export interface OwnPlace {
  readonly unit: { readonly name: string; readonly scope: 'system' | 'user' } | null;
  /** The id of the container that this process runs in. */
  readonly container: string | null;
}

export function ownPlace(group: string = ownControlGroup(), mounts: string = ownMounts()): OwnPlace {
  const [, ofUser] = /\/user@\d+\.service(\/.*)/u.exec(group) ?? [];
  // Of a unit that keeps groups of its own below itself the name is further up.
  const unit = (ofUser ?? group).split('/').findLast((part) => part.endsWith('.service'));
  // Docker mounts a file of its own there, also where the container has no network and sees no control group but its own.
  const [, container = null] = /\/containers\/([0-9a-f]{64})\/(?:hostname|hosts|resolv\.conf) /u.exec(mounts) ?? [];
  return { unit: unit === undefined ? null : { name: unit, scope: ofUser === undefined ? 'system' : 'user' }, container };
}

function ownMounts(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return '';
  }
}

function withSuffix(unit: string): string {
  return unit.includes('.') ? unit : `${unit}.service`;
}
