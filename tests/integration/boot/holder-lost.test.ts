// The host that works is lost in the middle of a step, or its connection is: the step is done once all the same.
import pg from 'pg';
import { beforeAll, expect, onTestFinished } from 'vitest';
import { startCutProxy } from '../../support/postgres-proxies.ts';
import { startPostgres, testWithPostgres, type TestPostgres } from '../../support/postgres.ts';
import { atGate, expectEachStepOnce, gate, journalInPostgres, loggedSteps, makeAppliedLog } from './applied-log.ts';
import { makeFleet, until, type Fleet, type Started } from './fleet.ts';

const steps = 4;
const command = ['boot', '--', 'sh', '-c', 'exit 0'];
let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startPostgres();
});

interface Scene {
  readonly url: string;
  readonly fleet: Fleet;
  /** Works, and waits in the middle of its second step. */
  readonly holder: Started;
  /** Wait for the holder. */
  readonly others: readonly Started[];
  readonly openGate: () => Promise<void>;
}

async function sceneAtGate(): Promise<Scene> {
  const url = await postgres.database();
  await makeAppliedLog(postgres, url);
  const keeper = new pg.Client({ connectionString: url });
  keeper.on('error', () => undefined);
  await keeper.connect();
  onTestFinished(async () => keeper.end().catch(() => undefined));
  await keeper.query(`SELECT pg_advisory_lock(${gate})`);
  const env = { DATABASE_URL: url, JOURNAL_URL: url, MIGRATION_LOCK_TIMEOUT_MS: '60000' };
  const fleet = makeFleet({ config: journalInPostgres, files: loggedSteps(steps, { gateAt: 2 }), hosts: 3, env });
  const [first, ...rest] = fleet.hosts;
  if (first === undefined) throw new Error('no hosts');
  const holder = first.start(command);
  await until('the holder is at the gate', async () => atGate(postgres, url));
  const others = rest.map((host) => host.start(command));
  await until('the others wait', () => others.every(({ heard }) => heard().includes('Waiting for it')));
  return { url, fleet, holder, others, openGate: async () => void (await keeper.query(`SELECT pg_advisory_unlock(${gate})`)) };
}

async function expectOthersFinish({ url, others }: Scene): Promise<void> {
  const ended = await Promise.all(others.map(async (one) => one.ended));
  for (const { code, stderr } of ended) expect(code, stderr).toBe(0);
  await expectEachStepOnce(postgres, url, steps, { isHolderKilled: true });
  expect(ended.filter(({ stderr }) => stderr.includes('was left unfinished; finishing it first'))).toHaveLength(1);
  expect(await postgres.query(url, 'SELECT outcome FROM rungs.runs')).toEqual([{ outcome: 'committed' }]);
}

testWithPostgres(
  'the holder is killed in the middle of a step, with all that belongs to it: another finishes the run, and all start',
  async () => {
    const scene = await sceneAtGate();
    process.kill(-(scene.holder.child.pid ?? 0), 'SIGKILL');
    await scene.openGate();
    expect((await scene.holder.ended).signal).toBe('SIGKILL');
    await expectOthersFinish(scene);
  },
);

testWithPostgres('the holder alone is killed, and its step goes on in the server: it is waited for, and counts once', async () => {
  const scene = await sceneAtGate();
  const { url } = scene;
  scene.holder.child.kill('SIGKILL');
  await scene.holder.ended;
  await until('another host has the lock', async () => {
    const [row] = await postgres.query(url, 'SELECT epoch::int AS epoch, host FROM rungs.lock');
    return Number(row?.epoch) > 1 && row?.host !== null;
  });
  await scene.openGate();
  await expectOthersFinish(scene);
});

testWithPostgres('the server restarts in the middle of a step while all wait: whoever comes first finishes the run', async () => {
  const scene = await sceneAtGate();
  postgres.stop('immediate');
  postgres.start();
  expect((await scene.holder.ended).code).not.toBe(0);
  await expectOthersFinish(scene);
});

// What was not committed is a step that failed: its host rolls back, and one of those that waited does it. What was, counts.
testWithPostgres.for([
  { when: 'before', of: 1, codes: [0, 0, 10] },
  { when: 'after', of: 1, codes: [0, 0, 0] },
  { when: 'before', of: steps, codes: [0, 0, 10] },
] as const)(
  'the connection is cut $when the server has done the COMMIT of a step of $of: the marker decides',
  async ({ when, of, codes }) => {
    const url = await postgres.database();
    await makeAppliedLog(postgres, url);
    const proxy = await startCutProxy(url);
    onTestFinished(async () => proxy.close());
    const env = { DATABASE_URL: proxy.url, JOURNAL_URL: url };
    const fleet = makeFleet({ config: journalInPostgres, files: loggedSteps(of), hosts: 3, env });
    proxy.cutAtCommit(when);
    const ended = await Promise.all(fleet.hosts.map(async (host) => host.start(command).ended));
    expect(proxy.cuts()).toBe(1);
    const all = ended.map(({ stderr }) => stderr).join('\n\n');
    expect(
      ended.map(({ code }) => code ?? -1).toSorted((a, b) => a - b),
      all,
    ).toEqual(codes);
    expect(all.includes('STEP_CONNECTION_LOST')).toBe(when === 'before');
    await expectEachStepOnce(postgres, url, of);
  },
);
