// What goes wrong with the status API: at its start, with its tokens, and with what it is asked.
import type { FailureRegistry } from '../failure.ts';

export const serveFailures = {
  SERVE_ADDRESS: ({ given }: { given: string }) => ({
    message: `"${given}" is not an address to listen on.`,
    hint: 'Write --listen 127.0.0.1:7070, --listen [::1]:7070, or --listen unix:/run/rungs.sock.',
  }),
  SERVE_ADDRESS_OPEN: ({ given }: { given: string }) => ({
    message: `${given} can be reached from other machines, and "upgrade serve" speaks without encryption.`,
    hint: 'Listen on 127.0.0.1 or on unix:/path, behind a proxy that adds TLS. --allow-remote listens there all the same.',
  }),
  SERVE_ADDRESS_TAKEN: ({ address, why }: { address: string; why: string }) => ({
    message: `Nothing can listen on ${address}: ${why}.`,
    hint: 'End what listens there, or choose another address with --listen.',
  }),
  TOKEN_NAME: ({ name }: { name: string }) => ({
    message: `"${name}" is not a name for a token: it may hold letters, digits, ".", "_" and "-", 64 of them at most.`,
    hint: 'For example: upgrade token create grafana --scope metrics.',
  }),
  TOKEN_EXISTS: ({ name }: { name: string }) => ({
    message: `There is a token with the name "${name}" already.`,
    hint: `Choose another name, or take the old one back: upgrade token revoke ${name}.`,
  }),
  TOKEN_UNKNOWN: ({ name, known }: { name: string; known: readonly string[] }) => ({
    message: `There is no token "${name}".`,
    hint: known.length === 0 ? 'There are none at all.' : `Known are: ${known.join(', ')}.`,
  }),
  TOKEN_FOLDER: ({ folder, why }: { folder: string; why: string }) => ({
    message: `The tokens in ${folder} cannot be trusted: ${why}.`,
    hint: `Let it belong to who runs Rungs, with mode 0700: chown and chmod 700 ${folder}.`,
  }),
  API_UNAUTHORIZED: ({ why }: { why: 'missing' | 'unknown' | 'expired' }) => ({
    message: { missing: 'No token was given.', unknown: 'The token is not known.', expired: 'The token has expired.' }[why],
    hint: '"upgrade token create NAME" prints one; send it as "Authorization: Bearer TOKEN".',
  }),
  API_SCOPE: ({ scope }: { scope: string }) => ({
    message: `The token may not do this: it lacks the scope "${scope}".`,
    hint: `Make one that may: upgrade token create NAME --scope ${scope}.`,
  }),
  API_HOST: () => ({
    message: 'The request is for another host than this one.',
    hint: 'Use the address that "upgrade serve" printed. Behind a proxy: upgrade serve --allow-host NAME.',
  }),
  API_ORIGIN: () => ({
    message: 'The request comes from a page of another origin.',
    hint: 'Only the dashboard itself may ask from a browser.',
  }),
  API_NOT_FOUND: ({ path }: { path: string }) => ({
    message: `There is nothing at ${path}.`,
    hint: '/api/v1/openapi.json describes what there is.',
  }),
  API_METHOD: ({ method }: { method: string }) => ({
    message: `${method} is not answered: the API only tells.`,
    hint: 'Use GET. What changes something is done with the command "upgrade".',
  }),
  API_REQUEST: ({ problem }: { problem: string }) => ({
    message: `The request cannot be understood: ${problem}`,
    hint: '/api/v1/openapi.json describes what may be asked.',
  }),
  API_TOO_MANY: ({ seconds }: { seconds: number }) => ({
    message: 'Too many requests.',
    hint: `Ask again in ${seconds} s.`,
  }),
  API_TOO_MANY_CLIENTS: ({ most }: { most: number }) => ({
    message: `${most} clients follow already, which is as many as may.`,
    hint: 'Close one, or ask /api/v1/status from time to time instead.',
  }),
} satisfies FailureRegistry;
