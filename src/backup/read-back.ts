// Reads back from disk what a frame writer wrote, some way behind it, in a thread of its own: so the proof is nearly done when the writing is.
import type { FileHandle } from 'node:fs/promises';
import type { ReadableFile } from './age/encrypted-file.ts';
import type { Frame } from './frame-writer.ts';
import { createProofApart } from './proof-apart.ts';
import { createProof, type Proof } from './proof.ts';

export interface ReadBack {
  /** One more frame is written, right behind the one before. */
  wrote(frame: Frame): void;
  /** What is written from here on may be taken back. */
  mark(): void;
  /** To the mark, which was behind so many frames. Nothing reads behind it when it resolves. */
  rewind(frames: number): Promise<void>;
  /** Reads the rest; gives the SHA-256 of the whole. Rejects with a TypeError where the disk gives back something else. */
  finish(file: ReadableFile): Promise<string>;
  settle(): Promise<void>;
}

/** So much is synced and read at a time; less than that is not worth a thread. */
const stretch = 64 << 20;

/** `behind` is `null` where what is written can be read only when it is whole. */
export function createReadBack(behind: FileHandle | null): ReadBack {
  /** What nobody was told to prove yet. */
  let pending: Frame[] = [];
  let pendingBytes = 0;
  let handedOver = 0;
  let apart: Proof | null = null;
  let work: Promise<void> = Promise.resolve();

  const then = (next: (proof: Proof) => Promise<void>): void => {
    const proof = apart;
    if (proof === null) return;
    work = work.then(() => next(proof));
    // Whoever finishes is told.
    work.catch(() => undefined);
  };
  const handOver = (): void => {
    const frames = pending;
    handedOver += frames.length;
    pending = [];
    pendingBytes = 0;
    then((proof) => proof.prove(frames));
  };

  return {
    wrote: (frame) => {
      pending.push(frame);
      pendingBytes += frame[0];
      if (behind === null || pendingBytes < stretch) return;
      apart ??= createProofApart(behind.fd);
      handOver();
    },
    mark: () => then((proof) => proof.mark()),
    rewind: async (frames) => {
      await work;
      if (handedOver > frames) await apart?.rewind(frames);
      handedOver = Math.min(handedOver, frames);
      pending.length = frames - handedOver;
      pendingBytes = pending.reduce((total, [bytes]) => total + bytes, 0);
    },
    finish: async (file) => {
      await work;
      const proof = apart ?? createProof(file);
      try {
        await proof.prove(pending);
        return await proof.digest();
      } finally {
        if (apart === null) await proof.close();
      }
    },
    settle: async () => {
      await work.catch(() => undefined);
      await apart?.close();
    },
  };
}
