// A long climb in one transaction: whoever listens hears the end of each step, and what is kept is the last one's and every step's record.
import { expect, test } from 'vitest';
import { makeLadderHome } from './scratch.ts';

const count = 101;
const config = `
product: ladders
version: { journal: true }
databases: { app: { sqlite: data/app.db } }
ladders: { main: { dir: db, group: true } }
`;

test('tells of each step, and keeps the end of the last one alone', async () => {
  const files = Array.from({ length: count }, (_, at) => [`db/${String(at + 1).padStart(3, '0')}_t.sql`, `CREATE TABLE t${at + 1} (id);`]);
  const home = makeLadderHome(config, Object.fromEntries(files) as Record<string, string>);
  const { code, stdout } = await home.upgrade('up', '--yes', '--events');
  expect(code).toBe(0);
  const heard = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; step?: string; runId: string })
    .filter(({ type }) => type === 'step-finished');
  expect(heard).toHaveLength(count);
  expect(home.tables().filter((name) => name.startsWith('t'))).toHaveLength(count);

  const { events, steps } = (await home.upgrade('history', heard[0]?.runId ?? '', '--json')).json() as {
    events: { type: string; step?: string; status?: string }[];
    steps: { status: string }[];
  };
  expect(events.filter(({ type }) => type === 'step-finished')).toMatchObject([{ step: 'main/101_t', status: 'applied' }]);
  expect(steps.filter(({ status }) => status === 'applied')).toHaveLength(count);
});
