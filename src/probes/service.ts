// Looks at a service of the config: whether it runs, and is healthy where anything tells.
import type { ProbeContext, ProbeOf } from './registry.ts';

export async function probeService(
  { service }: ProbeOf<'docker' | 'systemd'>,
  { config, look, limitMs, signal }: ProbeContext,
): Promise<string | null> {
  const found = config.services[service];
  if (found === undefined) return `upgrade.yaml has no service "${service}"`;
  const { account } = await look(found, limitMs, signal);
  return account === null ? null : `service ${service} ${account}`;
}
