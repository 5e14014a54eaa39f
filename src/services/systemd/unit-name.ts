// `api` is `api.service`, as for systemctl itself.
const suffixes = ['service', 'socket', 'target', 'timer', 'path', 'mount', 'automount', 'swap', 'slice', 'scope', 'device'];

export function fullUnitName(unit: string): string {
  return suffixes.some((suffix) => unit.endsWith(`.${suffix}`)) ? unit : `${unit}.service`;
}
