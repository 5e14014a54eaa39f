// Stands between Rungs and a PostgreSQL server and reads every statement. Promises that at a chosen one somebody is killed before the server has heard of
// it, or after the server has answered and nobody else has heard: exact where no event of ours tells, as between the two renames of a restore.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface KillingProxy {
  readonly url: string;
  /** Of all statements so far, in order: who sent it, how it begins, and the how-manyeth of its kind it is. */
  readonly keys: readonly string[];
  arm(at: { readonly key: string; readonly when: 'before' | 'after'; readonly kill: () => void }): void;
  /** Whether somebody was killed. */
  hasKilled(): boolean;
  close(): Promise<void>;
}

const cancelRequest = 80_877_102;
const encryptionRequests = new Set([80_877_103, 80_877_104]);

export async function startKillingProxy(server: string): Promise<KillingProxy> {
  const { hostname, port } = new URL(server);
  const keys: string[] = [];
  const seen = new Map<string, number>();
  const sockets = new Set<Socket>();
  let armed: { readonly key: string; readonly when: 'before' | 'after'; readonly kill: () => void } | null = null;
  let hasKilled = false;
  const strike = (): void => {
    hasKilled = true;
    const { kill } = armed ?? { kill: () => undefined };
    armed = null;
    kill();
  };

  const listening = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    }
    let rest = Buffer.alloc(0);
    let application: string | null = null;
    let isDeaf = false;
    const cut = (): void => {
      client.destroy();
      upstream.destroy();
    };
    client.on('data', (data) => {
      rest = Buffer.concat([rest, data]);
      for (;;) {
        const frame = nextFrame(rest, application !== null);
        if (frame === null) return;
        rest = rest.subarray(frame.length);
        if (application === null) {
          const code = frame.readUInt32BE(4);
          if (!encryptionRequests.has(code)) application = code === cancelRequest ? '' : applicationIn(frame);
        } else {
          const statement = statementIn(frame);
          if (statement !== null) {
            const name = `${application}: ${shortened(statement)}`;
            seen.set(name, (seen.get(name) ?? 0) + 1);
            const key = `${name}#${seen.get(name)}`;
            keys.push(key);
            if (armed?.key === key) {
              if (armed.when === 'before') {
                strike();
                cut();
                return;
              }
              isDeaf = true;
            }
          }
        }
        upstream.write(frame);
      }
    });
    upstream.on('data', (data) => {
      if (!isDeaf) client.write(data);
      else if (armed !== null) {
        strike();
        cut();
      }
    });
    client.on('error', cut).on('close', cut);
    upstream.on('error', cut).on('close', cut);
  });
  await new Promise<void>((resolve) => void listening.listen(0, '127.0.0.1', () => resolve()));
  const url = new URL(server);
  url.port = String((listening.address() as AddressInfo).port);
  return {
    url: url.href,
    keys,
    arm: (at) => void (armed = at),
    hasKilled: () => hasKilled,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => void listening.close(() => resolve()));
    },
  };
}

/** The first message has no letter before its length. */
function nextFrame(data: Buffer, isGreeted: boolean): Buffer | null {
  const head = isGreeted ? 1 : 0;
  if (data.length < head + 4) return null;
  const length = head + data.readUInt32BE(head);
  return data.length < length ? null : data.subarray(0, length);
}

function applicationIn(frame: Buffer): string {
  const words = frame.subarray(8).toString().split('\0');
  const at = words.findIndex((word, index) => index % 2 === 0 && word === 'application_name');
  return (words[at + 1] ?? '').replace(/ [0-9A-Z]{26}$/, '');
}

/** Of a simple query, and of one that is prepared. */
function statementIn(frame: Buffer): string | null {
  const kind = String.fromCharCode(frame[0] ?? 0);
  if (kind === 'Q') return frame.subarray(5, -1).toString();
  return kind === 'P' ? (frame.subarray(5).toString().split('\0')[1] ?? '') : null;
}

/** Without what differs from run to run. */
function shortened(statement: string): string {
  return statement
    .replaceAll(/[0-9A-HJKMNP-TV-Z]{26}/g, 'ID')
    .replaceAll(/[0-9a-f]{8,}(?:-[0-9a-f]+)*/gi, 'HASH')
    .replaceAll(/\d+/g, 'N')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .slice(0, 110);
}
