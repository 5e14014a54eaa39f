// Generates schemas/json/*.schema.json from the zod schemas. `--check` says whether they are fresh, and writes nothing.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as z from 'zod/mini';
import { backupManifestSchema } from '../schemas/backup-manifest.ts';
import { planDocument } from '../schemas/plan-document.ts';
import { resultDocument } from '../schemas/result-document.ts';
import { statusDocument } from '../schemas/status-document.ts';
import { stepMetadata } from '../schemas/step-metadata.ts';
import { transitionFile } from '../schemas/transition.ts';
import { upgradeConfig } from '../schemas/upgrade-config.ts';

const titles: Readonly<Record<string, readonly [title: string, schema: z.core.$ZodType]>> = {
  'upgrade-config': ['upgrade.yaml of Rungs', upgradeConfig],
  transition: ['transition.yaml of Rungs', transitionFile],
  'step-metadata': ['Metadata of a step of Rungs', stepMetadata],
  'backup-manifest': ['Manifest of a backup of Rungs', backupManifestSchema],
  'plan-document': ['upgrade plan --json', planDocument],
  'result-document': ['upgrade --json', resultDocument],
  'status-document': ['upgrade status --json', statusDocument],
};

export const folder = path.join(import.meta.dirname, '..', 'schemas', 'json');

/** File name to text. */
export function generatedSchemas(): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(titles).map(([name, [title, schema]]) => {
      const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' });
      return [`${name}.schema.json`, `${JSON.stringify({ $schema, title, ...rest }, null, 2)}\n`];
    }),
  );
}

/** Names of the files that are not as generated. */
export function staleSchemas(): readonly string[] {
  return [...generatedSchemas()].filter(([name, text]) => textAt(path.join(folder, name)) !== text).map(([name]) => name);
}

function textAt(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

if (import.meta.main) {
  if (process.argv.includes('--check')) {
    const stale = staleSchemas();
    if (stale.length > 0) {
      console.error(`Not fresh: ${stale.join(', ')}. Run: npm run schemas`);
      process.exitCode = 1;
    }
  } else {
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of generatedSchemas()) writeFileSync(path.join(folder, name), text);
  }
}
