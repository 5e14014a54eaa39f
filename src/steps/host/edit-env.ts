// Changes keys of a `.env` text. Comments, order, quotes and everything else stay.
import type { EnvChange } from '../../step-api.ts';

// Name, then a quoted value (which may go over several lines) or a plain one, then what follows it on the line.
const assignment =
  /^([ \t]*(?:export[ \t]+)?)([A-Za-z_][\w.-]*)([ \t]*=[ \t]*)("(?:[^"\\]|\\[\s\S])*"|'[^']*'|[^\r\n]*?)([ \t]*|[ \t]+#[^\r\n]*)(\r?)$(\n?)/gm;

export function editEnv(text: string, change: EnvChange | ((values: Readonly<Record<string, string>>) => EnvChange)): string {
  const wanted = typeof change === 'function' ? change(valuesOf(text)) : change;
  const seen = new Set<string>();
  const edited = text.replace(
    assignment,
    (whole, lead: string, key: string, equals: string, value: string, rest: string, cr: string, newline: string) => {
      const next = Object.hasOwn(wanted, key) ? wanted[key] : undefined;
      if (next === undefined) return whole;
      seen.add(key);
      if (next === null) return '';
      return plain(value) === next ? whole : `${lead}${key}${equals}${quoted(next, value)}${rest}${cr}${newline}`;
    },
  );
  const added = Object.entries(wanted).filter(([key, value]) => value !== null && !seen.has(key));
  if (added.length === 0) return edited;
  const end = text.includes('\r\n') ? '\r\n' : '\n';
  const separator = edited === '' || edited.endsWith('\n') ? '' : end;
  return edited + separator + added.map(([key, value]) => `${key}=${quoted(value ?? '', '')}${end}`).join('');
}

function valuesOf(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries([...text.matchAll(assignment)].map(([, , key = '', , value = '']) => [key, plain(value)]));
}

function plain(value: string): string {
  if (/^"[\s\S]*"$/.test(value) && value.length > 1)
    return value.slice(1, -1).replace(/\\(n|[\s\S])/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
  return /^'[\s\S]*'$/.test(value) && value.length > 1 ? value.slice(1, -1) : value;
}

/** In the quotes that it had, where they can hold it. */
function quoted(value: string, before: string): string {
  if (before.startsWith("'") && !value.includes("'")) return `'${value}'`;
  if (before.startsWith('"') || /[\s#"'\\$`]/.test(value)) return `"${value.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n')}"`;
  return value;
}
