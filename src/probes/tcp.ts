// Opens a TCP connection and closes it again.
import { connect } from 'node:net';
import type { ProbeContext, ProbeOf } from './registry.ts';

export async function probeTcp({ host, port }: ProbeOf<'tcp'>, { signal }: ProbeContext): Promise<string | null> {
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const end = (settle: () => void) => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      settle();
    };
    const onAbort = () => end(() => reject(new Error(`${where} did not answer`)));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => end(() => resolve(null)));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(() =>
        resolve(
          error.code === 'ECONNREFUSED'
            ? `${where} refuses the connection (nothing listens there)`
            : `${where} cannot be reached: ${error.code ?? error.message}`,
        ),
      ),
    );
  });
}
