// How the API says what went wrong: the registry's failures as a document, with the status that fits the code. Nothing else leaves, no stack either.
import { failure, messageOf, UpgradeError, type Failure } from '../model/failure.ts';

export interface Problem {
  readonly status: number;
  readonly body: { readonly failure: Failure | null; readonly failures: readonly Failure[] };
}

const statusOf: Readonly<Record<string, number>> = {
  API_UNAUTHORIZED: 401,
  API_SCOPE: 403,
  API_ORIGIN: 403,
  API_HOST: 421,
  API_METHOD: 405,
  API_REQUEST: 400,
  API_NOT_FOUND: 404,
  API_TOO_MANY: 429,
  API_TOO_MANY_CLIENTS: 503,
  RUN_UNKNOWN: 404,
  LADDER_UNKNOWN: 404,
  LADDERS_MISSING: 404,
  LADDER_WHICH: 400,
  TOKEN_FOLDER: 503,
  POSTGRES_UNREACHABLE: 503,
  INTERNAL: 500,
};

export function problemOf(error: unknown): Problem {
  const failures = error instanceof UpgradeError ? error.failures : [failureOf(error)];
  const [first] = failures;
  const code = first?.code ?? 'INTERNAL';
  // Anything else is an answer: what was asked for cannot be, and why.
  const status = statusOf[code] ?? (code.startsWith('JOURNAL_') ? 503 : 422);
  return { status, body: { failure: first ?? null, failures } };
}

function failureOf(error: unknown): Failure {
  // What the HTTP server itself finds wrong with a request.
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' && error.statusCode < 500)
    return failure('API_REQUEST', { problem: messageOf(error) });
  return failure('INTERNAL', { error: messageOf(error) });
}
