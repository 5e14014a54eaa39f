// Puts on disk what programs have written that do not sync themselves: scripts, and whatever a step starts. What the journal calls done must
// outlive a power cut.
import { execFile } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';

// A slow disk may need long for what it was given; one that never answers must not keep a run for ever.
const deadlineMs = 10 * 60_000;

/** The file systems of these paths and of all that is mounted below them. Gives what went wrong, or `null`: a sync that failed is never taken for one that worked. */
export async function syncFileSystems(paths: readonly string[]): Promise<string | null> {
  const mounts = mountsBelow(paths);
  const byDevice = new Map<number, string>();
  for (const path of [...paths, ...mounts]) {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found !== undefined && !byDevice.has(found.dev)) byDevice.set(found.dev, path);
  }
  for (const path of byDevice.values()) {
    const problem = await sync(process.platform === 'linux' ? ['-f', path] : []);
    if (problem !== null) return problem;
  }
  return null;
}

async function sync(args: readonly string[]): Promise<string | null> {
  const problem = await new Promise<string | null>((resolve) => {
    execFile('sync', [...args], { timeout: deadlineMs, cwd: '/' }, (error, _, stderr) =>
      resolve(error === null ? null : stderr.trim() || error.message),
    );
  });
  // Some systems' `sync` knows no single file system: all of them, then.
  const isUnknownOption = args.length > 0 && problem !== null && /(?:unrecognized|invalid|unknown|illegal) option|usage:/i.test(problem);
  return isUnknownOption ? sync([]) : problem;
}

function mountsBelow(paths: readonly string[]): readonly string[] {
  let text: string;
  try {
    text = readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return []; // No Linux: `sync` takes them all.
  }
  const points = text
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    );
  return points.filter((point) => paths.some((path) => point.startsWith(`${path}/`)));
}
