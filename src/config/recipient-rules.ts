// Whether what backups are encrypted to are whole public keys. Loaded only where a config names any.
import { parseRecipient } from '../model/age-recipient.ts';
import type { Config } from '../model/config.ts';
import { failure, type Failure } from '../model/failure.ts';
import type { YamlSource } from '../model/yaml-source.ts';
import { dotted } from './rule-context.ts';

export function recipientRules({ backup }: Config, source: YamlSource, of: string): readonly Failure[] {
  return backup.recipients.flatMap((text, at) => {
    const path = ['backup', 'encrypt', 'age', at];
    const recipient = parseRecipient(text);
    if (!('problem' in recipient)) return [];
    // What was meant for nobody's eyes is not shown.
    const isSecret = source.isHidden(path) || text.toUpperCase().includes('SECRET');
    const found = isSecret ? null : JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}…` : text);
    return [failure('WRONG_VALUE', { of, key: dotted(path), found, expected: recipient.problem }, { place: source.placeAt(path) })];
  });
}
