// Lies between a client and a server, and cuts the connection at the message that a test names.
import { createServer, connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface CuttingProxy {
  readonly port: number;
  /** Once. `before`: the server never hears of the message; `after`: it has committed, and its answer gets lost. */
  readonly cutAt: (text: string, when: 'before' | 'after') => void;
  readonly hasCut: () => boolean;
  readonly close: () => void;
}

export async function cuttingProxy(target: number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  let wanted: { readonly text: string; readonly when: 'before' | 'after' } | null = null;
  let cut = false;
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    let isDeaf = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.on('data', (chunk) => {
      const at = wanted === null ? -1 : chunk.indexOf(wanted.text);
      if (wanted === null || at < 0) return void upstream.write(chunk);
      isDeaf = true;
      cut = true;
      const { when } = wanted;
      wanted = null;
      if (when === 'before') return void [client, upstream].map((socket) => socket.destroy());
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (!isDeaf) client.write(chunk);
      // The answer itself is what the client never gets. The server's end stays open, so that it finds nothing wrong.
      else if (chunk.includes('COMMIT')) client.destroy();
    });
    client.on('close', () => void (isDeaf || upstream.destroy()));
    upstream.on('close', () => void client.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    cutAt: (text, when) => {
      cut = false;
      wanted = { text, when };
    },
    hasCut: () => cut,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
