// What a run shows of itself while it goes on and keeps nowhere: for whoever looks on from another process.
export interface LiveProgress {
  readonly at: string;
  readonly backup: { readonly doneBytes: number; readonly totalBytes: number } | null;
  readonly step: {
    readonly id: string;
    readonly action: 'apply' | 'revert';
    readonly description: string;
    readonly done: number | null;
    readonly total: number | null;
    readonly note: string;
  } | null;
}
