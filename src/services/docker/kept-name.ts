// The name under which a run keeps the container that it replaces: told by whoever finds one, whichever process made it.
const mark = '-rungs-';

/** `web` in run `01J…` is kept as `web-rungs-01j…`. */
export function keptName(name: string, runId: string): string {
  return `${name}${mark}${runId.toLowerCase()}`;
}

export function isKeptName(name: string): boolean {
  return /-rungs-[0-9a-z]{26}$/.test(name);
}
