// Lets V8 give memory back early. By default the part of the heap for new objects grows to 64 MB and stays so, more than a backup needs for everything else.
import { setFlagsFromString } from 'node:v8';

/** For a command that makes a great many short-lived objects and should stay small beside the services of its host. */
export function keepHeapSmall(): void {
  setFlagsFromString('--optimize-for-size');
}
