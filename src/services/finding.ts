// A failure as a finding of the preflight.
import type { Failure } from '../model/failure.ts';
import type { Finding, FindingLevel } from '../model/plan.ts';

export function finding(level: FindingLevel, { code, message, hint }: Failure): Finding {
  return { level, code, message, hint };
}
