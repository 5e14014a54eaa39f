// The text of docs/errors.md. The build puts it into the bundle: what is installed reads no file of its own.
import { readFileSync } from 'node:fs';

declare const RUNGS_ERRORS_PAGE: string | undefined;

export function errorsPage(): string {
  if (typeof RUNGS_ERRORS_PAGE === 'string') return RUNGS_ERRORS_PAGE;
  return readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
}
