// Sends one message to a webhook. Promises an answer within 10 s, no redirect that would carry it elsewhere, and a signature as Standard Webhooks
// (standardwebhooks.com) describes it where a secret is given.
import { createHmac } from 'node:crypto';
import { messageOf } from '../model/failure.ts';
import type { Message } from './message.ts';

export interface PostRequest {
  readonly url: string;
  readonly id: string;
  readonly message: Message;
  readonly secret: string | null;
  /** Seconds since 1970. */
  readonly now: number;
  readonly signal?: AbortSignal;
}

const withinMs = 10_000;

/** `null`: it was taken; else why not. */
export async function post({ url, id, message: { body, headers }, secret, now, signal }: PostRequest): Promise<string | null> {
  const timeout = AbortSignal.timeout(withinMs);
  try {
    const response = await fetch(url, {
      method: 'POST',
      body,
      redirect: 'manual',
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      headers: {
        'user-agent': 'rungs',
        ...headers,
        'webhook-id': id,
        'webhook-timestamp': String(now),
        ...(secret === null ? {} : { 'webhook-signature': signature(secret, id, now, body) }),
      },
    });
    // What it says is of no use, and a connection that is left with it stays open.
    await response.body?.cancel();
    return response.ok ? null : `it answered ${response.status}`;
  } catch (error) {
    if (timeout.aborted) return `it did not answer within ${withinMs / 1_000} s`;
    const cause = error instanceof Error && error.cause !== undefined ? `: ${messageOf(error.cause)}` : '';
    return `${messageOf(error)}${cause}`;
  }
}

/** `whsec_…` is base64, as the field writes it; anything else counts by its bytes. */
export function signature(secret: string, id: string, now: number, body: string): string {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret);
  return `v1,${createHmac('sha256', key).update(`${id}.${now}.${body}`).digest('base64')}`;
}
