// What each rule of `upgrade.yaml` is given, and how it says where something is wrong.
import type { UpgradeConfigText } from '../../schemas/upgrade-config.ts';
import type { Config } from '../model/config.ts';
import type { Failure } from '../model/failure.ts';

type Path = readonly (string | number)[];

export interface RuleContext {
  readonly text: UpgradeConfigText;
  readonly config: Config;
  readonly of: string;
  place(path: Path, on?: 'key' | 'value'): { readonly place: Failure['place'] & object };
  isHidden(path: Path): boolean;
  /** Keys as they are written, also of entries that are wrong in some other way. */
  keysAt(path: Path): readonly string[];
}

/** `services.web.after[0]` */
export function dotted(path: Path): string {
  return path.reduce<string>((name, key) => (typeof key === 'number' ? `${name}[${key}]` : name === '' ? key : `${name}.${key}`), '');
}
