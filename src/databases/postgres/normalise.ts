// One wording for expressions that PostgreSQL words in another way once a dump of them was restored: `x IN ('a', 'b')` on a varchar column is told as
// `(ARRAY['a'::varchar, 'b'::varchar])::text[]`, and after a restore as `ARRAY[('a'::varchar)::text, ('b'::varchar)::text]`. Both mean the same.

const castArray = /\(ARRAY\[((?:[^[\]']|'(?:[^']|'')*'|\[\])*)\]\)::([a-z"][\w ".]*?(?:\(\d+(?:,\d+)?\))?)\[\]/g;

export function normalised(text: string): string {
  if (!text.includes('(ARRAY[')) return text;
  return text.replace(castArray, (_, elements: string, type: string) => {
    const cast = elementsOf(elements).map((element) => `(${element.trim()})::${type}`);
    return `ARRAY[${cast.join(', ')}]`;
  });
}

/** Apart at the commas that stand neither in a string nor in parentheses. */
function elementsOf(text: string): readonly string[] {
  const elements: string[] = [];
  let depth = 0;
  let isQuoted = false;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === "'") isQuoted = !isQuoted;
    else if (isQuoted) continue;
    else if (character === '(') depth += 1;
    else if (character === ')') depth -= 1;
    else if (character === ',' && depth === 0) {
      elements.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...elements, text.slice(start)];
}
