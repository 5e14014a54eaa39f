// Backups of a tree of 1 GiB (20,000 files of 4 to 12 KiB and four of 210 MiB, half compressible), or of 200,000 small files: made, made again with 1 % changed,
// compared with what is there, restored whole and one file of it; beside GNU tar, find with sha256sum, and restic where it is installed.
// Every contestant is a whole process. A file is known by its times only when it was left alone for a minute, so the tree is left alone for as long.
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as commands from '../lib/commands.mjs';
import { median } from '../lib/measure.mjs';
import { printBound, printTable } from '../lib/report.mjs';

const shell = (script) => ['sh', '-c', script];

export async function run({ rounds, files = 20_000, large = 4, name = 'backup-1g' }) {
  const dir = mkdtempSync(join(tmpdir(), 'rungs-bench-'));
  try {
    const root = join(dir, 'root');
    fill(root, files, large);
    await measure({ dir, root, rounds, files, name });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function measure({ dir, root, rounds, files, name }) {
  const rungs = (...args) => ({ command: [...commands.upgrade('backup', ...args, '--json')], cwd: root });
  const out = (command) => ({ command: shell(command), cwd: dir });
  const hasRestic = spawnSync('restic', ['version']).status === 0;
  const restic = `RESTIC_PASSWORD=bench restic -q -r ${dir}/restic`;
  const timed = new Map();
  const once = (what, { command, cwd }, before = () => undefined) => {
    before();
    spawnSync('sync', ['-f', dir]);
    const report = join(dir, '.time');
    const startedAt = performance.now();
    const { status, stdout, stderr } = spawnSync('/usr/bin/time', ['-f', '%M', '-o', report, ...command], {
      cwd,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    const ms = performance.now() - startedAt;
    if (status !== 0) throw new Error(`${what} ended with ${status}: ${stderr.slice(-2000)}`);
    const megabytes = Number(spawnSync('tail', ['-1', report], { encoding: 'utf8' }).stdout) / 1024;
    timed.set(what, [...(timed.get(what) ?? []), { ms, megabytes }]);
    return stdout;
  };
  const clear = (...names) => names.forEach((one) => rmSync(join(dir, one), { recursive: true, force: true }));
  const sizes = [];
  for (let round = 0; round <= rounds; round += 1) {
    // The first round warms the caches, and does not count.
    if (round === 1) timed.clear();
    // The round before has restored everything: these are new files.
    spawnSync('sync', ['-f', dir]);
    await new Promise((resolve) => void setTimeout(resolve, 62_000));
    once('GNU tar', out('tar -cf gnu.tar -C root data && sync gnu.tar'), () => clear('gnu.tar'));
    once('GNU tar, zstd -3', out("tar -I 'zstd -3' -cf gnu.tar.zst -C root data && sync gnu.tar.zst"), () => clear('gnu.tar.zst'));
    once('find, sha256sum', out('find root/data -type f -print0 | xargs -0 sha256sum > sums'));
    const first = JSON.parse(once('rungs, create', rungs('create'), () => clear('root/.upgrade')));
    if (hasRestic) once('restic, first', out(`${restic} init && ${restic} backup root/data`), () => clear('restic'));
    change(root, files, round);
    const second = JSON.parse(once('rungs, 1 % changed', rungs('create')));
    sizes.push(second.bytes / first.bytes);
    if (hasRestic) once('restic, 1 % changed', out(`${restic} backup root/data`));
    once('rungs, compare', { command: commands.upgrade('backup', 'restore', second.id, '--dry-run', '--json'), cwd: root });
    once('GNU tar, extract', out('mkdir gnu && tar -I zstd -xf gnu.tar.zst -C gnu && sync -f gnu'), () => clear('gnu'));
    once('rungs, restore whole', rungs('restore', first.id, '--yes'), () => clear('root/data', 'root/.upgrade/aside'));
    once('same, no safety copy', rungs('restore', first.id, '--yes', '--no-safety-copy'), () => clear('root/data', 'root/.upgrade/aside'));
    once('rungs, restore one file', rungs('restore', first.id, 'data/many/7/f7', '--yes'), () => clear('root/data/many/7/f7'));
    once('that file, no safety copy', rungs('restore', first.id, 'data/many/7/f7', '--yes', '--no-safety-copy'), () =>
      clear('root/data/many/7/f7'),
    );
    process.stderr.write(round === rounds ? '\n' : '.');
  }
  const results = new Map(
    [...timed].map(([what, taken]) => [
      what,
      { ms: median(taken.map(({ ms }) => ms)), megabytes: median(taken.map((each) => each.megabytes)), all: taken.map(({ ms }) => ms) },
    ]),
  );
  printTable(`${name}: ${files} small files${name === 'backup-1g' ? ' and four of 210 MiB' : ''}`, results, { against: 'rungs, create' });
  const ms = (what) => results.get(what).ms;
  printBound('create / (GNU tar zstd -3, then sha256sum)', ms('rungs, create') / (ms('GNU tar, zstd -3') + ms('find, sha256sum')), 0.7);
  printBound('create / GNU tar zstd -3', ms('rungs, create') / ms('GNU tar, zstd -3'), 1.5);
  printBound('second with 1 % changed / first', ms('rungs, 1 % changed') / ms('rungs, create'), 0.15);
  printBound('its archive / that of the first', median(sizes), 0.02);
  printBound('compare / reading it (find, sha256sum)', ms('rungs, compare') / ms('find, sha256sum'), 0.1);
  printBound('restore whole / GNU tar', ms('rungs, restore whole') / ms('GNU tar, extract'), 1.2);
  printBound('restore one file of 8 KiB', ms('rungs, restore one file') / 1000, 0.2, ' s');
  for (const [what, { megabytes }] of results) if (what.startsWith('rungs')) printBound(`memory: ${what}`, megabytes, 200, ' MB');
}

function fill(root, files, large) {
  const noise = randomFillSync(Buffer.allocUnsafe(1 << 20));
  const text = Buffer.from('The quick brown fox jumps over the lazy dog 0123456789. '.repeat(400));
  for (let index = 0; index < files; index += 1) {
    const folder = join(root, 'data/many', String(index % 100));
    if (index < 100) mkdirSync(folder, { recursive: true });
    const size = 4096 + ((index * 7919) % 8192);
    const bytes = Buffer.alloc(size);
    noise.copy(bytes, 0, (index * 4099) % ((1 << 20) - 12_288), ((index * 4099) % ((1 << 20) - 12_288)) + (size >> 1));
    bytes.writeUInt32LE(index, 0);
    text.copy(bytes, size >> 1, index % 50);
    writeFileSync(join(folder, `f${index}`), bytes);
  }
  for (let number = 0; number < large; number += 1) {
    for (let part = 0; part < 210; part += 1) {
      const bytes = Buffer.alloc(1 << 20);
      randomFillSync(bytes, 0, 1 << 19);
      for (let at = 1 << 19; at < bytes.length; at += text.length) text.copy(bytes, at);
      appendFileSync(join(root, 'data', `large${number}`), bytes);
    }
  }
  mkdirSync(join(root, 'migrations'));
  writeFileSync(join(root, 'VERSION'), '0.1.0\n');
  writeFileSync(join(root, 'upgrade.yaml'), 'product: bench\nversion: { file: VERSION }\nbackup: { include: [data] }\n');
}

/** One small file in a hundred gets other contents. */
function change(root, files, round) {
  for (let index = round % 100; index < files; index += 100)
    writeFileSync(join(root, 'data/many', String(index % 100), `f${index}`), randomFillSync(Buffer.allocUnsafe(8192)));
}
