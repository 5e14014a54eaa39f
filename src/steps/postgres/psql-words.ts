// What to write instead of what only psql understands.
import type { PsqlUse } from '../../model/postgres-statements.ts';

export function insteadOf({ kind, text }: PsqlUse): string {
  if (kind === 'copy') return 'Write the rows as INSERT statements, or make it a TypeScript step that reads them from a file beside it.';
  if (kind === 'variable') return 'Write the value itself, or make it a TypeScript step, which may take it from the environment or a file.';
  const [command = ''] = text.split(/\s/);
  switch (command) {
    case '\\c':
    case '\\connect':
      return 'Remove it: the step runs on the database that its metadata names ("-- rungs: { database: … }").';
    case '\\i':
    case '\\ir':
    case '\\include':
    case '\\include_relative':
      return 'Put the text of that file here, or make it a step of its own.';
    case '\\copy':
      return 'Write the rows as INSERT statements, or make it a TypeScript step that reads the file.';
    case '\\set':
      return 'Write the value itself where it is used.';
    default:
      return 'Remove it: only SQL is sent to the server.';
  }
}
