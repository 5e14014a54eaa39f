// Prints what was measured beside its bound.

/** `results` by contestant: `{ ms, megabytes }`. `against`: whom the others are held against. */
export function printTable(title, results, { against }) {
  console.log(`\n${title}`);
  const base = results.get(against);
  for (const [name, { ms, megabytes, all }] of results) {
    const ratio = base === undefined || name === against ? '' : `${against} / ${name} = ${(base.ms / ms).toFixed(2)}`;
    const spread = all === undefined ? '' : `(${seconds(Math.min(...all))} to ${seconds(Math.max(...all))})`;
    console.log(
      `  ${name.padEnd(34)} ${seconds(ms).padStart(9)}  ${spread.padEnd(22)} ${Number.isNaN(megabytes) ? '' : `${megabytes.toFixed(0)} MB`.padStart(7)}  ${ratio}`,
    );
  }
}

const misses = [];

export function printBound(what, value, bound, unit = '') {
  const holds = value <= bound;
  if (!holds) misses.push(what);
  console.log(`  ${holds ? 'holds ' : 'MISSED'}  ${what}: ${format(value)}${unit}, at most ${format(bound)}${unit}`);
}

export function printFloor(what, value, floor, unit = '') {
  const holds = value >= floor;
  if (!holds) misses.push(what);
  console.log(`  ${holds ? 'holds ' : 'MISSED'}  ${what}: ${format(value)}${unit}, at least ${format(floor)}${unit}`);
}

export function printMisses() {
  console.log(misses.length === 0 ? '\nEvery bound holds.' : `\nMissed: ${misses.join('; ')}`);
}

/** Of several contestants, the one with the least time. */
export function fastest(results, names) {
  return names
    .flatMap((name) => (results.has(name) ? [{ name, ...results.get(name) }] : []))
    .reduce((best, each) => (each.ms < best.ms ? each : best));
}

function seconds(ms) {
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

function format(value) {
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}
