// A small pooler for the tests, of transactions or of sessions: programs speak to it as to a server, and share real sessions behind it.
import { createServer, connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** Its port. In mode `transaction` a session goes to whoever asks next as soon as a transaction is over, the last one first, as PgBouncer does it. */
export async function startPooler(port: number, mode: 'transaction' | 'session'): Promise<number> {
  const idle: Upstream[] = [];
  const sockets = new Set<Socket>();
  let made = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    let startup: Buffer | null = null;
    let upstream: Upstream | null = null;
    let pending = Promise.resolve();
    const parse = splitter((message) => {
      if (startup === null) {
        startup = message;
        // Its own greeting: nobody upstream is needed yet, and the key is made up.
        made += 1;
        const key = Buffer.alloc(13);
        key.write('K', 0);
        key.writeInt32BE(12, 1);
        key.writeInt32BE(900_000 + made, 5);
        socket.write(Buffer.concat([frame('R', Buffer.alloc(4)), parameter('server_version', '15.0'), key, frame('Z', Buffer.from('I'))]));
        return;
      }
      const first = startup;
      pending = pending.then(async () => {
        if (message[0] === 0x58) {
          if (upstream !== null) idle.push(upstream);
          upstream = null;
          return;
        }
        upstream ??= idle.pop() ?? (await open(port, first, sockets));
        const mine = upstream;
        mine.onMessage = (answer) => {
          socket.write(answer);
          const isOver = answer[0] === 0x5a && answer[5] === 0x49;
          if (!isOver || mode === 'session') return;
          idle.push(mine);
          upstream = null;
        };
        const answered = message[0] === 0x51 || message[0] === 0x53 ? mine.untilReady() : Promise.resolve();
        mine.socket.write(message);
        await answered;
      });
    }, true);
    socket.on('data', parse);
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

interface Upstream {
  readonly socket: Socket;
  onMessage: (message: Buffer) => void;
  untilReady(): Promise<void>;
}

async function open(port: number, startup: Buffer, sockets: Set<Socket>): Promise<Upstream> {
  const socket = connect(port, '127.0.0.1');
  sockets.add(socket);
  socket.on('error', () => undefined);
  let isReady: (() => void) | null = null;
  const upstream: Upstream = {
    socket,
    onMessage: () => undefined,
    untilReady: async () =>
      new Promise((resolve) => {
        isReady = resolve;
      }),
  };
  const ready = upstream.untilReady();
  socket.on(
    'data',
    splitter((message) => {
      upstream.onMessage(message);
      if (message[0] === 0x5a) isReady?.();
    }, false),
  );
  socket.write(startup);
  await ready;
  return upstream;
}

/** Whole messages; the first of a program has no letter before its length. */
function splitter(onMessage: (message: Buffer) => void, hasStartup: boolean): (data: Buffer) => void {
  let rest = Buffer.alloc(0);
  let offset = hasStartup ? 0 : 1;
  return (data) => {
    rest = Buffer.concat([rest, data]);
    while (rest.length >= offset + 4 && rest.length >= offset + rest.readInt32BE(offset)) {
      const length = offset + rest.readInt32BE(offset);
      const message = rest.subarray(0, length);
      rest = rest.subarray(length);
      offset = 1;
      onMessage(message);
    }
  };
}

function frame(letter: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(letter, 0);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function parameter(name: string, value: string): Buffer {
  return frame('S', Buffer.from(`${name}\0${value}\0`));
}
