// The lines of a run's log, for people: when, and what; what a step printed set off by a bar. The day stands where it changes.
import { hanging, marks, type Ink } from './layout.ts';
import { readable } from './sanitize.ts';

export type LogLine =
  | {
      readonly kind: 'entry';
      readonly time: string;
      readonly level: number;
      readonly msg: string;
      readonly fields: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: 'output'; readonly step: string; readonly line: string };

// pino's levels.
const warn = 40;
const error = 50;

export function createLogRenderer({ ink, columns }: { readonly ink: Ink; readonly columns: number }): (line: LogLine) => readonly string[] {
  let day = '';
  return (line) => {
    if (line.kind === 'output') return [`${' '.repeat(14)}${ink.quiet(marks.output)} ${readable(line.line)}`];
    const [date = '', clock = ''] = line.time.replace('Z', '').split('T');
    const heading = date === day ? [] : [ink.quiet(`${date} UTC`)];
    day = date;
    const text = readable(line.msg);
    const time = `${ink.quiet(clock.padEnd(12))}  `;
    const { type, line: said } = line.fields;
    if (type === 'step-output') return [...heading, `${time}${ink.quiet(`${marks.output} ${readable(String(said))}`)}`];
    const paint = line.level >= error ? ink.bad : line.level >= warn ? ink.back : (plain: string): string => plain;
    return [...heading, ...hanging(time, paint(text), columns)];
  };
}
