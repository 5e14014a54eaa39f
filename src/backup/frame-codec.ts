// Packs and unpacks zstd frames with one context each and buffers that are used again. Node's one-shot functions make a context a call, and its streams leave their
// output to a collector that counts memory outside its heap only roughly: together some hundred megabytes for an archive of any size.
import { constants, createZstdCompress, createZstdDecompress, type ZstdCompress, type ZstdDecompress } from 'node:zlib';

export interface FrameCodec {
  /** One frame from `source` into `target`; gives its length there. Rejects with a TypeError where it does not fit or is no whole frame. One call at a time. */
  run(source: Buffer, target: Buffer): Promise<number>;
  close(): void;
}

const chunkSize = 256 << 10;

export function createFramePacker(): FrameCodec {
  const stream = createZstdCompress({ chunkSize, params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 } });
  return codec(stream, (source, done) => {
    stream.write(source);
    // Ends the frame and keeps the context: the next write begins another.
    stream.flush(constants.ZSTD_e_end, done);
  });
}

export function createFrameUnpacker(): FrameCodec {
  const stream = createZstdDecompress({ chunkSize });
  return codec(stream, (source, done) => void stream.write(source, done));
}

function codec(stream: ZstdCompress | ZstdDecompress, feed: (source: Buffer, done: () => void) => void): FrameCodec {
  let target: Buffer = Buffer.alloc(0);
  let filled = 0;
  let latest: ArrayBufferLike | null = null;
  let refuse: (error: Error) => void = () => undefined;
  stream.on('data', (chunk: Buffer) => {
    if (filled + chunk.length > target.length) {
      // Whatever claims to be small and unpacks without end stops here.
      stream.destroy();
      return refuse(new TypeError('a part of it unpacks to another size'));
    }
    chunk.copy(target, filled);
    filled += chunk.length;
    // The stream fills one buffer after the other: with the first chunk of a new one, nobody looks at the one before.
    if (latest instanceof ArrayBuffer && latest !== chunk.buffer && latest.byteLength > Buffer.poolSize) latest.transfer(0);
    latest = chunk.buffer;
  });
  stream.on('error', (error) => refuse(error));
  return {
    run: async (source, into) => {
      target = into;
      filled = 0;
      await new Promise<void>((resolve, reject) => {
        refuse = reject;
        if (stream.destroyed) reject(new TypeError('it was closed'));
        else feed(source, resolve);
      });
      return filled;
    },
    close: () => void stream.destroy(),
  };
}
