// What only commands can save: a real Redis goes through an upgrade that fails, and comes back as it was.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { testNeeding } from '../../support/needs.ts';
import { makeTiny, until, type Tiny } from './installation.ts';

const test = testNeeding('redis-server');

let tiny: Tiny;
let server: ChildProcess;
let socket: string;
beforeEach(async () => {
  tiny = makeTiny();
  const dir = path.join(tiny.dir, 'redis');
  mkdirSync(dir);
  socket = path.join(dir, 's');
  const settings = ['--port', '0', '--unixsocket', socket, '--dir', dir, '--save', '', '--enable-debug-command', 'yes'];
  server = spawn('redis-server', settings, { stdio: 'ignore' });
  await until('redis answers', async () => {
    try {
      return redis('PING') === 'PONG';
    } catch {
      return false;
    }
  });
  redis('SET', 'greeting', 'hello');
  redis('RPUSH', 'queue', 'a', 'b', 'c');
  const cli = `redis-cli -s ${socket}`;
  const commands = {
    cache: {
      backup: ['sh', '-c', `${cli} --rdb - 2> /dev/null`],
      restore: ['sh', '-c', `cat > ${dir}/dump.rdb && ${cli} DEBUG RELOAD NOSAVE`],
      digest: ['sh', '-c', `${cli} DEBUG DIGEST`],
    },
    unseen: { backup: ['cat', 'config/release.txt'], restore: ['sh', '-c', 'cat "$UPGRADE_BACKUP_FILE" > data/put-back'] },
  };
  tiny.edit('upgrade.yaml', (text) =>
    text.replace('include: [config, data]', `include: [config, data]\n  commands: ${JSON.stringify(commands)}`),
  );
});
afterEach(async () => {
  server.kill('SIGKILL');
  await tiny.remove();
});

function redis(...args: readonly string[]): string {
  return execFileSync('redis-cli', ['-s', socket, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}

test('a source is put back by the rollback where its digest says that it changed, and is proven', async () => {
  const digest = redis('DEBUG', 'DIGEST');
  tiny.step(
    'v1.0.0_to_v1.1.0/009_break.sh',
    `#!/bin/sh\n[ "$1" = backward ] && exit 0\nredis-cli -s ${socket} FLUSHALL; redis-cli -s ${socket} SET other x; exit 3\n`,
  );
  const { code, stdout } = await tiny.upgrade(['--json', '--yes']);
  const result = JSON.parse(stdout);
  expect(result.outcome).toBe('rolled-back');
  expect(code).toBe(10);
  expect(result.restored.map(({ path: where }: { path: string }) => where)).toContain('command:cache');
  expect(redis('DEBUG', 'DIGEST')).toBe(digest);
  expect(redis('LRANGE', 'queue', '0', '-1')).toBe('a\nb\nc');
});

test('by hand too; a source that nobody can compare is put back where it is named, and only there', async () => {
  expect((await tiny.upgrade(['backup', 'create'])).code).toBe(0);
  const [{ id }] = JSON.parse((await tiny.upgrade(['backup', 'list', '--json'])).stdout);
  redis('FLUSHALL');
  const restored = JSON.parse((await tiny.upgrade(['backup', 'restore', id, '--yes', '--json'])).stdout);
  expect(restored.restored).toEqual(['command:cache']);
  expect(redis('GET', 'greeting')).toBe('hello');
  const named = JSON.parse((await tiny.upgrade(['backup', 'restore', id, 'command:unseen', '--yes', '--json'])).stdout);
  expect(named.restored).toEqual(['command:unseen']);
  expect(readFileSync(path.join(tiny.root, 'data/put-back'), 'utf8')).toBe(
    readFileSync(path.join(tiny.root, 'config/release.txt'), 'utf8'),
  );
});

test('a source whose command fails, prints nothing, or changes meanwhile refuses the upgrade untouched', async () => {
  const before = await tiny.look();
  const cases = { SOURCE_COMMAND_FAILED: 'exit 7', SOURCE_EMPTY: 'true', SOURCE_CHANGED: `redis-cli -s ${socket} INCR n` };
  for (const [code, script] of Object.entries(cases)) {
    const original = readFileSync(tiny.configFile, 'utf8');
    tiny.edit('upgrade.yaml', (text) =>
      text.replace('--rdb - 2> /dev/null', `PING > /dev/null; ${script}`).replace(/redis-cli -s \S+ PING/, `redis-cli -s ${socket} PING`),
    );
    const ended = await tiny.upgrade(['--json', '--yes']);
    expect(JSON.parse(ended.stdout).failure.code).toBe(code);
    expect(ended.code).toBe(3);
    tiny.edit('upgrade.yaml', () => original);
    expect((await tiny.look()).rows).toEqual(before.rows);
  }
});
