// Copies the addresses out of users in batches. A checkpoint commits each batch together with the note of how far it
// got, so that an interrupted run goes on at the next batch, and a table of any size never sits in one transaction.
import { defineStep } from 'rungs';

const batchSize = 250;

export default defineStep({
  description: 'Copy each address into its own row',
  requiresRestart: ['web'],
  estimatedDuration: '2s',
  timeout: '5m',
  idempotent: true,

  forward: async ({ sqlite, checkpoint, progress, log }) => {
    const app = sqlite('app');
    const count = await app.get<{ users: number }>('SELECT count(*) AS users FROM users');
    const start = checkpoint.value === undefined ? { last: 0, done: 0 } : readCheckpoint(checkpoint.value);
    let { last, done } = start;
    for (;;) {
      const batch = await app.get<{ users: number; last: number | null }>(
        'SELECT count(*) AS users, max(id) AS last FROM (SELECT id FROM users WHERE id > ? ORDER BY id LIMIT ?)',
        last,
        batchSize,
      );
      if (batch === undefined || batch.last === null) break;
      // "OR IGNORE" makes a batch harmless when it is repeated. Whoever told no address gets no row.
      await app.run(
        `INSERT OR IGNORE INTO addresses (user_id, street, city, postcode)
         SELECT id, street, city, postcode FROM users WHERE id > ? AND id <= ? AND street IS NOT NULL ORDER BY id`,
        last,
        batch.last,
      );
      last = batch.last;
      done += batch.users;
      await checkpoint.save({ last, done });
      progress(done, count?.users, 'users');
    }
    log(`${done} users read`);
  },

  // It must bring back what was there before this forward, also when the forward stopped half-way. So it goes by
  // the rows of addresses: a user whose address was not copied yet still has it, and must not lose it here.
  backward: async ({ sqlite, checkpoint, progress }) => {
    const app = sqlite('app');
    const count = await app.get<{ rows: number }>('SELECT count(*) AS rows FROM addresses');
    for (let done = 0; ;) {
      const batch = await app.get<{ rows: number; last: number | null }>(
        'SELECT count(*) AS rows, max(user_id) AS last FROM (SELECT user_id FROM addresses ORDER BY user_id LIMIT ?)',
        batchSize,
      );
      if (batch === undefined || batch.last === null) break;
      await app.run(
        `UPDATE users SET street = addresses.street, city = addresses.city, postcode = addresses.postcode
         FROM addresses WHERE addresses.user_id = users.id AND users.id <= ?`,
        batch.last,
      );
      await app.run('DELETE FROM addresses WHERE user_id <= ?', batch.last);
      await checkpoint.save(batch.last);
      done += batch.rows;
      progress(done, count?.rows, 'addresses');
    }
  },
});

function readCheckpoint(value: unknown): { last: number; done: number } {
  if (typeof value === 'object' && value !== null && 'last' in value && 'done' in value)
    return { last: Number(value.last), done: Number(value.done) };
  throw new Error(`not a checkpoint of this step: ${JSON.stringify(value)}`);
}
