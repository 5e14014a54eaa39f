// What may stand between Rungs and a PostgreSQL server: a line that is cut at a chosen moment, and a pooler that hands one session of the
// server to several clients in turn, a transaction at a time.
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface Proxy {
  readonly url: string;
  close(): Promise<void>;
}

export interface CutProxy extends Proxy {
  /** The next COMMIT is not answered: `before` it reaches the server, or `after` the server has done it. */
  cutAtCommit(when: 'before' | 'after'): void;
  /** How often it was cut. */
  cuts(): number;
}

export async function startCutProxy(server: string): Promise<CutProxy> {
  let next: 'before' | 'after' | null = null;
  let cuts = 0;
  const listening = await listen((client) => {
    const upstream = connectTo(server);
    let isSwallowing = false;
    const cut = (): void => {
      cuts += 1;
      client.destroy();
      upstream.destroy();
    };
    client.on('data', (data) => {
      if (next === null || !data.includes('COMMIT\0')) {
        upstream.write(data);
        return;
      }
      const when = next;
      next = null;
      if (when === 'before') cut();
      else {
        isSwallowing = true;
        upstream.write(data);
      }
    });
    upstream.on('data', (data) => (isSwallowing ? cut() : client.write(data)));
    tie(client, upstream);
  });
  return { ...proxyOf(listening, server), cutAtCommit: (when) => void (next = when), cuts: () => cuts };
}

/** `key`: what it tells clients of the session's process: something of its own, as PgBouncer does, or what the server said. */
export async function startPooler(server: string, key: 'own' | 'of-the-server'): Promise<Proxy> {
  const upstream = connectTo(server);
  const { username, pathname } = new URL(server);
  upstream.write(startup(username, pathname.slice(1)));
  const greeting: Buffer[] = [];
  let isReady = false;
  let tellReady = (): void => undefined;
  const ready = new Promise<void>((resolve) => void (tellReady = resolve));
  let owner: Socket | null = null;
  const waiting: { readonly client: Socket; readonly data: Buffer }[] = [];
  let rest = Buffer.alloc(0);
  const serveNext = (): void => {
    const turn = waiting.shift();
    if (turn === undefined) return;
    owner = turn.client;
    upstream.write(turn.data);
  };
  upstream.on('data', (data) => {
    rest = Buffer.concat([rest, data]);
    while (rest.length >= 5 && rest.length > rest.readUInt32BE(1)) {
      const message = rest.subarray(0, rest.readUInt32BE(1) + 1);
      rest = rest.subarray(message.length);
      const kind = String.fromCharCode(message[0] ?? 0);
      if (!isReady) {
        if (kind === 'K' && key === 'own') message.writeUInt32BE(message.readUInt32BE(5) + 100_000, 5);
        greeting.push(Buffer.from(message));
        isReady = kind === 'Z';
        if (isReady) tellReady();
        continue;
      }
      if (owner?.destroyed === false) owner.write(message);
      // Idle, outside of a transaction: the session goes to whoever comes next.
      if (kind === 'Z' && message[5] === 'I'.charCodeAt(0)) {
        owner = null;
        serveNext();
      }
    }
  });
  await ready;
  const listening = await listen((client) => {
    let isGreeted = false;
    client.on('data', (data) => {
      if (!isGreeted) {
        isGreeted = true;
        client.write(Buffer.concat(greeting));
      } else if (data[0] === 'X'.charCodeAt(0)) client.destroy();
      else if (owner === client) upstream.write(data);
      else {
        waiting.push({ client, data });
        if (owner === null) serveNext();
      }
    });
    client.on('error', () => undefined);
  });
  upstream.on('error', () => undefined);
  const proxy = proxyOf(listening, server);
  return {
    ...proxy,
    close: async () => {
      upstream.destroy();
      await proxy.close();
    },
  };
}

function startup(user: string, database: string): Buffer {
  const words = Buffer.from(`user\0${user}\0database\0${database}\0\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(words.length + 8, 0);
  head.writeUInt32BE(196_608, 4);
  return Buffer.concat([head, words]);
}

function connectTo(server: string): Socket {
  const { hostname, port } = new URL(server);
  return connect(Number(port), hostname);
}

interface Listening {
  readonly server: Server;
  readonly clients: Set<Socket>;
}

function listen(serve: (client: Socket) => void): Promise<Listening> {
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    clients.add(client);
    client.once('close', () => clients.delete(client));
    serve(client);
  });
  return new Promise((resolve) => void server.listen(0, '127.0.0.1', () => resolve({ server, clients })));
}

function proxyOf({ server, clients }: Listening, behind: string): Proxy {
  const url = new URL(behind);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    close: async () => {
      for (const client of clients) client.destroy();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

/** Where one end goes, the other goes. */
function tie(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
  }
}
