// The page of errors, for people on a terminal: one code with what it means and what to do, or all of them by their sections.
import { cut, hanging, padEnd, wrap, type Ink } from './layout.ts';

export interface ErrorEntry {
  readonly code: string;
  /** The heading that it stands under. */
  readonly section: string;
  /** Markdown. */
  readonly text: string;
}

export interface PageStyle {
  readonly ink: Ink;
  readonly columns: number;
}

/** `## Section`, `### CODE`, and what stands below. */
export function readErrorPage(page: string): readonly ErrorEntry[] {
  return page
    .split(/^## /m)
    .slice(1)
    .flatMap((part) => {
      const section = part.slice(0, part.indexOf('\n')).trim();
      const entries = part.split(/^### /m).slice(1);
      return entries.map((entry) => ({ code: /^\S+/.exec(entry)?.[0] ?? '', section, text: entry.slice(entry.indexOf('\n')).trim() }));
    });
}

export function renderErrorEntry({ code, section, text }: ErrorEntry, { ink, columns }: PageStyle): readonly string[] {
  const blocks = text.split(/\n{2,}|\n(?=- )/).map((block) => block.replace(/\n/g, ' ').trim());
  return [
    `${ink.strong(code)}  ${ink.quiet(section)}`,
    ...blocks.flatMap((block, at) => {
      const [, name, rest = ''] = /^- (Installation|Do): (.*)$/.exec(block) ?? [];
      const gap = at === 0 || (name !== undefined && !(blocks[at - 1]?.startsWith('- ') ?? false)) || name === undefined ? [''] : [];
      if (name === undefined) return [...gap, ...wrap(plainText(block.replace(/^- /, '· '), ink), columns)];
      return [...gap, ...hanging(ink.quiet(padEnd(name, 14)), plainText(rest, ink), columns)];
    }),
  ];
}

/** A line each, with the first sentence of what it means. */
export function renderErrorList(entries: readonly ErrorEntry[], { ink, columns }: PageStyle): readonly string[] {
  const sections = [...new Set(entries.map(({ section }) => section))];
  return sections.flatMap((section, at) => [
    ...(at === 0 ? [] : ['']),
    ink.strong(section),
    ...entries
      .filter((entry) => entry.section === section)
      .map(({ code, text }) => cut(`  ${padEnd(code, 30)}  ${ink.quiet(plainText(firstSentence(text)))}`, columns)),
  ]);
}

function firstSentence(text: string): string {
  const [paragraph = ''] = text.split('\n\n');
  return /^.*?\.(?=\s|$)/.exec(paragraph.replace(/\n/g, ' '))?.[0] ?? paragraph;
}

/** Without Markdown; a link to another page names its file, which is in the package. */
function plainText(text: string, ink?: Ink): string {
  return text
    .replace(/\[([^\]]+)\]\(([^)]+)\)/g, (_, title: string, target: string) => `${title} (docs/${target})`)
    .replace(/`([^`]+)`/g, (_, code: string) => ink?.strong(code) ?? code)
    .replace(/\*([^*]+)\*/g, '$1');
}
