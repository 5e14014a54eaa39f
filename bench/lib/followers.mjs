// `node followers.mjs ROOT COUNT READY`: serves ROOT to COUNT readers of its events until it is told to end; READY is made when all of them listen.
// A process of its own, as browsers are.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { startServing } from './serving.mjs';

const [root, count, ready] = process.argv.slice(2);
const { url, token, stop } = await startServing(root);
let events = 0;
await Promise.all(
  Array.from({ length: Number(count) }, async () => {
    const [response] = await once(get(`${url}/api/v1/events`, { headers: { authorization: `Bearer ${token}` } }), 'response');
    if (response.statusCode !== 200) throw new Error(`a follower got ${response.statusCode}`);
    response.on('error', () => undefined).on('data', (part) => (events += part.includes('id: ') ? 1 : 0));
  }),
);
writeFileSync(ready, '');
process.once('SIGTERM', () => {
  writeFileSync(ready, String(events));
  void stop().then(() => process.exit(0));
});
