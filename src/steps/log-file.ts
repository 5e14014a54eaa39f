// A step's log file. Given where it lies, promises that a disk that is full or gone never fails the step: the problem is told once.
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '../model/failure.ts';

export interface LogFile {
  readonly write: (text: string) => void;
  readonly close: () => void;
}

/** Opened with the first output: most steps print nothing. */
export function createLogFile(file: string, onLogProblem: (problem: string) => void): LogFile {
  let fd: number | null = null;
  let isBroken = false;
  const attempt = (work: () => void): void => {
    try {
      if (!isBroken) work();
    } catch (error) {
      isBroken = true;
      onLogProblem(messageOf(error));
    }
  };
  return {
    write: (text) => {
      const bytes = Buffer.from(text);
      attempt(() => {
        if (fd === null) {
          mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
          fd = openSync(file, 'a', 0o600);
        }
        for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
      });
    },
    close: () => {
      const opened = fd;
      fd = null;
      if (opened !== null) closeSync(opened);
    },
  };
}
