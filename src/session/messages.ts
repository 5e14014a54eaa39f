// Who is told about the end of a run: the messages that are recorded in the commit that ends it.
import { createHash } from 'node:crypto';
import os from 'node:os';
import type { Config } from '../model/config.ts';
import type { NewMessage } from '../model/notification.ts';
import type { Clock } from '../model/ports.ts';
import type { ResultDocument } from '../model/run.ts';

/** For the commit that ends the run. The ids come from the run: ending it again after a kill makes no others. */
export function messagesFor(config: Pick<Config, 'notify'>, runId: string, result: ResultDocument, clock: Clock): readonly NewMessage[] {
  const { failure } = result;
  return config.notify
    .filter(({ on }) => on.includes(result.outcome))
    .map(({ key }) => {
      // A run that is stranded and ends otherwise after all is told of twice.
      const id = `msg_${createHash('sha256').update(`${runId} ${key} ${result.outcome}`).digest('base64url').slice(0, 24)}`;
      return {
        id,
        target: key,
        notification: {
          id,
          product: result.product,
          runId,
          outcome: result.outcome,
          from: result.from,
          to: result.to,
          version: result.version,
          host: os.hostname(),
          finishedAt: clock.now(),
          durationMs: result.durationMs,
          failure:
            failure === null
              ? null
              : {
                  code: failure.code,
                  message: failure.message,
                  hint: failure.hint,
                  ...(failure.phase === undefined ? {} : { phase: failure.phase }),
                  ...(failure.step === undefined ? {} : { step: failure.step }),
                },
          next: result.next,
        },
      };
    });
}
