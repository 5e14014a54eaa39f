// The API's documents as the page reads them, taken from the schemas that the server answers by.
import type * as z from 'zod/mini';
import type { backupsDocument, graphDocument, runDocument, runsDocument, servicesDocument } from '../../../schemas/api-documents.ts';
import type { statusDocument } from '../../../schemas/status-document.ts';
import type { UpgradeEvent } from '../../model/event.ts';
import type { LiveProgress } from '../../model/live-progress.ts';

/** As it was read: nobody changes it. */
type Read<T> = T extends readonly (infer U)[] ? readonly Read<U>[] : T extends object ? { readonly [K in keyof T]: Read<T[K]> } : T;

export type Status = Read<z.infer<typeof statusDocument>>;
export type Run = Read<z.infer<typeof runDocument>>;
export type RunSummary = Read<z.infer<typeof runsDocument>>['runs'][number];
export type Graph = Read<z.infer<typeof graphDocument>>;
export type Backup = Read<z.infer<typeof backupsDocument>>['backups'][number];
export type Services = Read<z.infer<typeof servicesDocument>>;
export type Failure = Run['failures'][number];
export type Event = UpgradeEvent;
export type Progress = LiveProgress;
