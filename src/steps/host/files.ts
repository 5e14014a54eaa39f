// placeholder until the next commit
import type { StepFiles } from '../../step-api.ts';
import type { HostOrder, HostRun } from './protocol.ts';
export function createStepFiles(_order: HostOrder, _run: HostRun): StepFiles {
  throw new Error('ctx.files is not there yet');
}
