#!/usr/bin/env node
// The product: a small HTTP service over data/app.db. It runs only on the schema that its release was written for.
// Exit codes: 0 stopped by a signal, 3 the schema is another one, 4 it cannot listen.
import { createServer } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { readConfig, readPort, readRelease, root } from '../lib/settings.mjs';
import { isAllowed, startUpgrade, tellUpgrade } from '../lib/upgrades.mjs';

// How the page's query is written for each schema. A real product ships one of these per release; the sample ships
// all three, so that an upgrade has only data to change.
const queries = {
  1: `SELECT login, name, NULL AS email, street, city FROM users ORDER BY id LIMIT ?`,
  2: `SELECT login, name, NULL AS email, street, city FROM users LEFT JOIN addresses ON user_id = users.id ORDER BY users.id LIMIT ?`,
  3: `SELECT login, name, email, street, city FROM users LEFT JOIN addresses ON user_id = users.id ORDER BY users.id LIMIT ?`,
};

const release = readRelease();
const config = readConfig();
const database = new DatabaseSync(join(root, 'data', 'app.db'));
database.exec('PRAGMA busy_timeout = 2000');

const reason = whyNot();
if (reason !== null) {
  console.error(reason);
  process.exit(3);
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (url.pathname === '/health') sendHealth(response);
  else if (url.pathname === '/') sendPage(response);
  else if (url.pathname === '/admin/upgrade') void sendUpgrade(request, response);
  else send(response, 404, 'text/plain', 'not found\n');
});
server.on('error', (error) => {
  console.error(`cannot listen: ${error.message}`);
  process.exit(4);
});
server.listen(readPort(), config.get('server.host'), () => console.error(`listening on ${config.get('server.host')}:${readPort()}, release ${release.version}`));
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, stop);

/** `null` when the database is what this release needs, else a sentence. Asked again by every health check. */
function whyNot() {
  const { user_version: found } = database.prepare('PRAGMA user_version').get();
  if (found === release.schema && found in queries) return null;
  const state = found < release.schema ? 'older' : 'newer';
  return `the database has schema ${found}, which is ${state} than schema ${release.schema} that release ${release.version} needs`;
}

function sendHealth(response) {
  const problem = whyNot();
  if (problem !== null) return send(response, 503, 'application/json', JSON.stringify({ ok: false, version: release.version, error: problem }));
  const { users } = database.prepare('SELECT count(*) AS users FROM users').get();
  return send(response, 200, 'application/json', JSON.stringify({ ok: true, version: release.version, schema: release.schema, users }));
}

function sendPage(response) {
  const problem = whyNot();
  if (problem !== null) return send(response, 503, 'text/plain', `${problem}\n`);
  const users = database.prepare(queries[release.schema]).all(Number(config.get('users.page_size')));
  const cells = users.map((user) => `<tr>${[user.name, user.login, user.email ?? '', [user.street, user.city].filter(Boolean).join(', ')].map((text) => `<td>${escape(text)}</td>`).join('')}</tr>`);
  const title = escape(config.get('server.title') ?? '');
  return send(response, 200, 'text/html; charset=utf-8', `<!doctype html><title>${title}</title><h1>${title}</h1><table>\n${cells.join('\n')}\n</table>\n`);
}

/** POST presses the button, GET tells how it went: the same after the restart that the upgrade brings. */
async function sendUpgrade(request, response) {
  if (!isAllowed(request)) return send(response, 401, 'application/json', JSON.stringify({ error: 'ADMIN_TOKEN of .env is needed' }));
  if (request.method !== 'POST' && request.method !== 'GET') return send(response, 405, 'text/plain', 'GET or POST\n');
  try {
    const { status, body } = await (request.method === 'POST' ? startUpgrade() : tellUpgrade());
    return send(response, status, 'application/json', JSON.stringify(body));
  } catch (error) {
    return send(response, 500, 'application/json', JSON.stringify({ failures: error.failures ?? [{ message: error.message }] }));
  }
}

function send(response, status, type, body) {
  // The process number lets bin/service tell its own server from another one on the same port.
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', connection: 'close', 'x-process': process.pid });
  response.end(body);
}

function escape(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function stop() {
  server.close(() => {
    database.close();
    process.exit(0);
  });
  server.closeAllConnections();
}
