// stub
import type { Config } from '../model/config.ts';
import type { RunContext } from '../model/ports.ts';
import type { StepOrder } from '../model/run.ts';
export async function undoRecorded(_order: StepOrder, _config: Config, _run: RunContext): Promise<{ readonly undone: number; readonly isComplete: boolean }> {
  return { undone: 0, isComplete: false };
}
