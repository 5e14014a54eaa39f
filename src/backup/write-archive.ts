// Writes one archive, encrypted or not. Everything is in the file, on disk and read back from there when it resolves.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { createEncrypted } from './age/encrypted-file.ts';
import { openArchive, type FileToOpen, type OpenFile } from './archive-file.ts';
import { createFrameWriter, type FrameWriter, type WrittenArchive } from './frame-writer.ts';

/** Throws what the file system throws, and a TypeError where what is read back is something else. */
export async function writeArchive(
  { recipients = [], ...target }: FileToOpen,
  fill: (writer: FrameWriter) => Promise<void>,
): Promise<WrittenArchive> {
  const file = await open(target.path, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600);
  const encrypted = recipients.length === 0 ? null : await createEncrypted(file, recipients);
  const writer = createFrameWriter(encrypted ?? file, encrypted === null ? file : null);
  const opened: OpenFile[] = [];
  try {
    await fill(writer);
    // A tar ends with two empty blocks.
    await writer.append(Buffer.alloc(1024));
    // What is encrypted can be read back only when it is whole.
    return await writer.finish(async () => {
      await encrypted?.end();
      await file.sync();
      if (encrypted !== null) opened.push(await openArchive({ ...target, recipients }));
      return opened[0] ?? file;
    });
  } finally {
    await writer.settle();
    await opened[0]?.close();
    await file.close();
  }
}
