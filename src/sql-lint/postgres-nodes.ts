// Small readings of PostgreSQL's parse tree.
import type { Node, RangeVar, TypeName } from 'libpg-query';

export function nameOf(table: RangeVar | undefined): string {
  return [table?.schemaname, table?.relname].filter((part) => part !== undefined).join('.');
}

/** Of a dropped object, however its kind is written. */
export function namesOf(node: Node): string {
  if ('String' in node) return node.String.sval ?? '';
  if ('List' in node) return (node.List.items ?? []).map(namesOf).join('.');
  return '';
}

/** The last part of a type's name. */
export function typeOf(type: TypeName | undefined): string {
  return namesOf(type?.names?.at(-1) ?? { String: { sval: '' } });
}

/** The texts of all literals in it. */
export function stringsIn(node: unknown): ReadonlySet<string> {
  const texts = new Set<string>();
  visit(node, (key, value) => {
    if (key === 'A_Const') {
      const text = (value as { sval?: { sval?: string } }).sval?.sval;
      if (text !== undefined) texts.add(text);
    }
  });
  return texts;
}

/** The functions that it calls, without their schemas. */
export function functionsIn(node: unknown): ReadonlySet<string> {
  const names = new Set<string>();
  visit(node, (key, value) => {
    if (key === 'FuncCall') names.add(namesOf({ List: { items: [...((value as { funcname?: Node[] }).funcname ?? [])].slice(-1) } }));
  });
  return names;
}

// A loop, since trees of generated SQL are deep.
function visit(root: unknown, seen: (key: string, value: object) => void): void {
  const queue: unknown[] = [root];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (typeof next !== 'object' || next === null) continue;
    for (const [key, value] of Object.entries(next)) {
      if (typeof value !== 'object' || value === null) continue;
      seen(key, value as object);
      queue.push(value);
    }
  }
}
