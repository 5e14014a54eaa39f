// How two schemas differ, for people, object by object: `+` is only in the fresh one, `-` only in what the ladder made.
import type { SchemaComparison, SchemaDifference } from '../model/schema.ts';
import { createInk, type Ink } from './layout.ts';

export function renderSchemaDiff({ differences, records }: SchemaComparison, ink: Ink = createInk(false)): readonly string[] {
  return [
    ...(differences.length === 0 ? [] : [ink.quiet('+ only in fresh, - only in the ladder, ~ in both and not the same')]),
    ...differences.flatMap((difference) => differenceLines(difference, ink)),
    ...records.map(({ table, side }) => ink.quiet(`  ${table}, the record of another tool, is ${side}: left out`)),
  ];
}

function differenceLines({ kind, name, side, facts }: SchemaDifference, ink: Ink): readonly string[] {
  const mark = side === 'only in fresh' ? '+' : side === 'only in the ladder' ? '-' : '~';
  const colour = (line: string): string =>
    line.trimStart().startsWith('+') ? ink.good(line) : line.trimStart().startsWith('-') ? ink.bad(line) : line;
  const head = colour(`${mark} ${kind} ${name}`);
  if (side !== 'differs')
    return [
      head,
      ...facts.flatMap((fact) => factLines(fact.name, fact.fresh ?? fact.ladder ?? '').map((line) => colour(`${mark}     ${line}`))),
    ];
  return [
    head,
    ...facts.flatMap(({ name: fact, fresh, ladder }) => {
      const [left, right] = [fresh === null ? [] : factLines(fact, fresh), ladder === null ? [] : factLines(fact, ladder)];
      // Of a long definition what differs in it.
      const isLong = left.length > 3 && right.length > 3;
      const only = (lines: readonly string[], others: readonly string[]): readonly string[] =>
        isLong ? [lines[0] ?? '', ...lines.slice(1).filter((line) => !others.includes(line))] : lines;
      return [...only(left, right).map((line) => colour(`  + ${line}`)), ...only(right, left).map((line) => colour(`  - ${line}`))];
    }),
  ];
}

function factLines(name: string, value: string): readonly string[] {
  const lines = value.trim().split('\n');
  if (lines.length === 1) return [value === 'yes' ? name : `${name}: ${value}`];
  return [`${name}:`, ...lines.map((line) => `  ${line.trimEnd()}`)];
}
