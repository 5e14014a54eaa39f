// Where "upgrade serve" listens. Given what was written, promises loopback or a Unix socket, or a refusal that says how to insist.
import { isIPv6 } from 'node:net';
import path from 'node:path';
import { fail } from '../model/failure.ts';

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Throws SERVE_ADDRESS, SERVE_ADDRESS_OPEN. */
export function parseListenAddress(
  given: string,
  { cwd, allowRemote = false }: { readonly cwd: string; readonly allowRemote?: boolean },
): ListenAddress {
  if (given.startsWith('unix:')) {
    const file = given.slice('unix:'.length);
    if (file === '') throw fail('SERVE_ADDRESS', { given });
    return { kind: 'unix', path: path.resolve(cwd, file) };
  }
  const [, written = '', digits = ''] = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+):(\d{1,5})$/.exec(given) ?? [];
  const host = written.replace(/^\[|\]$/g, '');
  const port = Number(digits);
  if (host === '' || digits === '' || port > 65_535 || (written.startsWith('[') && !isIPv6(host))) throw fail('SERVE_ADDRESS', { given });
  if (!allowRemote && !isLoopback(host)) throw fail('SERVE_ADDRESS_OPEN', { given });
  return { kind: 'tcp', host, port };
}

/** The values of `Host` that mean us. */
export function ownHosts(address: ListenAddress, port: number): readonly string[] {
  if (address.kind === 'unix') return ['localhost'];
  const names = isLoopback(address.host) ? [address.host, 'localhost', '127.0.0.1', '::1'] : [address.host];
  return [...new Set(names)].flatMap((name) => {
    const written = isIPv6(name) ? `[${name}]` : name;
    return port === 80 ? [written, `${written}:80`] : [`${written}:${port}`];
  });
}

export function addressText(address: ListenAddress, port: number): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return `http://${isIPv6(address.host) ? `[${address.host}]` : address.host}:${port}`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}
