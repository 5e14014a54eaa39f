// What a new step looks like, by kind: a forward and a backward that say what belongs there, and fail until somebody writes it.
export type TemplateKind = 'ts' | 'sql' | 'sh' | 'py';

export interface TemplateFacts {
  /** `null`: of a ladder, which has no versions. */
  readonly from: string | null;
  readonly to: string | null;
  readonly name: string;
  /** The first database of the config. */
  readonly database: string | null;
}

export function stepTemplate(kind: TemplateKind, facts: TemplateFacts): string {
  return templates[kind](facts, facts.name.replaceAll(/[_-]+/g, ' '));
}

/** A script of a ladder with an index: it goes one way, and ends with 0 when it is done. */
export function scriptTemplate(kind: TemplateKind, name: string): string {
  const title = sentence(name.replaceAll(/[_-]+/g, ' '));
  if (kind === 'py') return `"""${title}."""\nraise SystemExit("write this script")\n`;
  return `#!/bin/bash\n# ${title}.\nset -euo pipefail\n\necho "write this script" >&2\nexit 1\n`;
}

const templates: Readonly<Record<TemplateKind, (facts: TemplateFacts, title: string) => string>> = {
  ts: (_, title) => `import { defineStep } from 'rungs';

export default defineStep({
  description: '${sentence(title)}',
  requiresRestart: [],
  forward: async ({ log }) => {
    // For example: await files.updateYaml('config/app.yaml', (doc) => doc.setIn(['mail', 'enabled'], true));
    log('nothing is written here yet');
    throw new Error('Write the forward of this step.');
  },
  // May be left out where only files and transactional SQL are used: those are undone from what was recorded.
  backward: async () => {
    throw new Error('Write the backward of this step.');
  },
});
`,
  sql: ({ database }, title) => `-- rungs: { description: ${sentence(title)}, database: ${database ?? 'app'} }
-- Runs in one transaction. "transaction: false" above is for what cannot.

-- forward
SELECT 'write the forward of this step' FROM not_written_yet;

-- backward
SELECT 'write the backward of this step' FROM not_written_yet;
`,
  sh: (_, title) => `#!/bin/sh
# rungs: { description: ${sentence(title)} }
set -eu

case "$1" in
  forward)
    echo "write the forward of this step" >&2
    exit 1
    ;;
  backward)
    echo "write the backward of this step" >&2
    exit 1
    ;;
esac
`,
  py: ({ from, to }, title) => `"""${sentence(title)}."""
from pathlib import Path

MIGRATION_INFO = {
${from === null ? '' : `    "version_from": "${from}",\n`}${to === null ? '' : `    "version_to": "${to}",\n`}    "description": "${sentence(title)}",
    "requires_restart": [],
}


def migrate_forward(project_root: Path) -> bool:
    raise NotImplementedError("write the forward of this step")


def migrate_backward(project_root: Path) -> bool:
    raise NotImplementedError("write the backward of this step")
`,
};

function sentence(title: string): string {
  return title.charAt(0).toUpperCase() + title.slice(1);
}
