// How much a test repeats: `quick` by default, so that everybody runs it often; more in CI; everything that the issues count with RUNGS_TEST_LEVEL=full.
export const level: 'quick' | 'ci' | 'full' =
  process.env['RUNGS_TEST_LEVEL'] === 'full' ? 'full' : process.env['CI'] === 'true' ? 'ci' : 'quick';

/** `full`: where an issue asks for more than CI has time for. */
export function countFor({ quick, ci, full = ci }: { readonly quick: number; readonly ci: number; readonly full?: number }): number {
  return { quick, ci, full }[level];
}
