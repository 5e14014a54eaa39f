// The thread of `createProofApart`: takes its orders one after the other.
import { fdatasync, read } from 'node:fs';
import { promisify } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../model/failure.ts';
import type { Answer, Order } from './proof-apart.ts';
import { createProof } from './proof.ts';

const descriptor = Number(workerData);
const [readAt, sync] = [promisify(read), promisify(fdatasync)];
const proof = createProof({ read: (buffer, offset, length, position) => readAt(descriptor, buffer, offset, length, position) }, () =>
  sync(descriptor),
);
let turn = Promise.resolve();

parentPort?.on('message', (order: Order) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none
  turn = turn.then(async () => parentPort?.postMessage(await answer(order)));
});

async function answer(order: Order): Promise<Answer> {
  try {
    return { value: (await obey(order)) ?? '' };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    return { problem: messageOf(error), code, isTypeError: error instanceof TypeError };
  }
}

function obey(order: Order): Promise<string | void> {
  switch (order.do) {
    case 'prove':
      return proof.prove(order.frames);
    case 'mark':
      return proof.mark();
    case 'rewind':
      return proof.rewind(order.frames);
    case 'digest':
      return proof.digest();
  }
}
