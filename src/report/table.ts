// Rows with aligned columns; where they are too wide for the terminal, each row is wrapped under itself instead.
import { hanging, padEnd, width } from './layout.ts';

export interface Row {
  /** One character, coloured or not. */
  readonly mark: string;
  readonly cells: readonly string[];
}

export function table(rows: readonly Row[], columns: number): readonly string[] {
  const widths = rows.reduce<number[]>((most, { cells }) => cells.map((cell, index) => Math.max(width(cell), most[index] ?? 0)), []);
  const total = widths.reduce((sum, one) => sum + one + 2, 0);
  return rows.flatMap(({ mark, cells }) => {
    if (total > columns) return hanging(`${mark} `, cells.filter((cell) => cell !== '').join('  '), columns);
    return [`${mark} ${cells.map((cell, index) => padEnd(cell, widths[index] ?? 0)).join('  ')}`.trimEnd()];
  });
}

/** `  Label      text`, the text wrapped under itself. */
export function labelled(label: string, text: string, columns: number, paint: (text: string) => string): readonly string[] {
  return hanging(`  ${paint(label.padEnd(11))}`, text, columns);
}
