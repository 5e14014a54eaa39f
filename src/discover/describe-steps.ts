// From the bytes of steps to steps with metadata: comments are read here, Python by one python3, modules by one call of the port.
import path from 'node:path';
import { failure, type Failure } from '../model/failure.ts';
import type { Finding, Step } from '../model/plan.ts';
import type { DescribeModules, ModuleDescription } from '../model/ports.ts';
import { hasStatement, splitSql } from '../model/sql-sections.ts';
import type { Located } from '../model/yaml-source.ts';
import { isDatabaseOnly, isRecordedOnly } from './database-only.ts';
import { createCommentReader, type CommentMetadata } from './comment-metadata.ts';
import { readPythonSteps, type PythonStep } from './python-steps.ts';
import type { RawStep } from './read-folder.ts';
import { checkDeclared, declaredProblems, metadataOf, type Declared } from './step-metadata.ts';
import type { KnownNames } from './transition-file.ts';
import { textOf } from './trusted-files.ts';

interface DescribedSteps {
  readonly steps: readonly { readonly transition: string; readonly step: Step }[];
  readonly problems: readonly Failure[];
  readonly findings: readonly Finding[];
}

/** What the kinds have in common once they were read. */
interface Reading {
  readonly declared: Declared | null;
  /** Something is wrong with what it declares, so what it does not declare is not worth a problem. */
  readonly isDoubtful: boolean;
  readonly hasBackward: boolean;
  readonly hasCheck: boolean;
  readonly isPlainScript?: boolean;
}

interface Context {
  readonly known: KnownNames;
  readonly database: string | null;
  readonly isLadder: boolean;
  readonly problems: Failure[];
  readonly findings: Finding[];
}

interface DescribeRequest {
  readonly describeModules: DescribeModules;
  readonly known: KnownNames;
  /** Of steps that name none. */
  readonly database?: string | null;
  /** Scripts may be those of another system, which know nothing of a direction. */
  readonly isLadder?: boolean;
}

export async function describeSteps(
  raw: readonly RawStep[],
  { describeModules, known, database = null, isLadder = false }: DescribeRequest,
): Promise<DescribedSteps> {
  const context: Context = { known, database, isLadder, problems: [], findings: [] };
  const readings = new Map<RawStep, Reading>();
  const readComment = createCommentReader();
  const python: { readonly raw: RawStep; readonly text: string }[] = [];
  const modules = raw.filter(({ named }) => named.kind === 'ts' || named.kind === 'js');
  for (const step of raw) {
    if (step.named.kind === 'ts' || step.named.kind === 'js') continue;
    const text = textOf(step.forward, fileOf(step));
    if (typeof text !== 'string') context.problems.push(text);
    else if (step.named.kind === 'py') python.push({ raw: step, text });
    else
      readings.set(
        step,
        step.named.kind === 'sql' ? readSql(step, text, readComment, context) : readShell(step, text, readComment, context),
      );
  }
  const [infos, descriptions] = await Promise.all([
    readPythonSteps(python.map(({ raw: step, text }) => ({ file: fileOf(step), step: step.named.id, text }))),
    modules.length === 0 ? [] : describeModules(modules.map(fileOf)),
  ]);
  for (const [at, { raw: step }] of python.entries()) {
    const info = infos[at];
    if (info !== undefined) keep(readings, step, readPython(step, info, context));
  }
  for (const [at, step] of modules.entries()) {
    const description = descriptions[at];
    if (description !== undefined) keep(readings, step, readModule(step, description, context));
  }
  const steps = raw.flatMap((step) => {
    const reading = readings.get(step);
    return reading === undefined ? [] : [{ transition: step.transition.id, step: stepOf(step, reading, context) }];
  });
  // One missing python3 is one problem, however many steps need it.
  return { steps, problems: [...new Set(context.problems)], findings: context.findings };
}

function keep(readings: Map<RawStep, Reading>, step: RawStep, reading: Reading | null): void {
  if (reading !== null) readings.set(step, reading);
}

type ReadComment = (text: string, sign: '--' | '#', file: string, step: string) => CommentMetadata;

function readSql(step: RawStep, text: string, readComment: ReadComment, { problems, findings }: Context): Reading {
  const { named, backward } = step;
  const file = fileOf(step);
  const { declared, problems: found } = readComment(text, '--', file, named.id);
  problems.push(...found);
  const sections = splitSql(text);
  if (!hasStatement(sections.forward))
    findings.push(emptyFinding('STEP_EMPTY', named.id, file, 'has no statement to run', 'Remove it, if nothing is meant to be run.'));
  let backwardText = sections.backward;
  if (backward !== null && named.backwardFile !== null) {
    const other = path.join(step.transition.dir, named.backwardFile);
    if (backwardText !== null)
      problems.push(
        failure(
          'STEP_TWO_BACKWARDS',
          { name: named.forwardFile, other: named.backwardFile, transition: step.transition.id },
          { place: { file }, step: named.id },
        ),
      );
    const down = textOf(backward, other);
    if (typeof down === 'string') backwardText = down;
    else problems.push(down);
  }
  if (backwardText !== null && !hasStatement(backwardText)) {
    findings.push(
      emptyFinding(
        'BACKWARD_EMPTY',
        named.id,
        file,
        'has a backward without a statement: it undoes nothing',
        'Write the statements, or remove it: the backup covers what has no backward.',
      ),
    );
  }
  return { declared, isDoubtful: found.length > 0, hasBackward: backwardText !== null, hasCheck: false };
}

function readShell(step: RawStep, text: string, readComment: ReadComment, { problems }: Context): Reading {
  const { declared, problems: found } = readComment(text, '#', fileOf(step), step.named.id);
  problems.push(...found);
  const hasBackward = step.backward !== null || /backward|UPGRADE_DIRECTION/.test(text);
  return { declared, isDoubtful: found.length > 0, hasBackward, hasCheck: false };
}

function readPython(step: RawStep, read: PythonStep | Failure, { problems, findings, isLadder }: Context): Reading | null {
  if ('code' in read) {
    problems.push(read);
    return null;
  }
  const { id } = step.named;
  const file = fileOf(step);
  const isPlainScript = isLadder && !read.hasForward;
  if (!read.hasForward && !isPlainScript)
    problems.push(
      failure('STEP_NO_FORWARD', { step: id, wanted: 'function migrate_forward(project_root)' }, { place: { file }, step: id }),
    );
  const hasBackward = isPlainScript ? step.backward !== null : read.hasBackward;
  if (read.info === null) return { declared: null, isDoubtful: false, hasBackward, hasCheck: false, isPlainScript };
  const { declared, problems: found } = checkDeclared(read.info, [], id);
  problems.push(...found);
  const { from, to } = step.transition;
  const [saysFrom, saysTo] = [declared?.text.version_from?.replace(/^v/, '') ?? from, declared?.text.version_to?.replace(/^v/, '') ?? to];
  if (from !== null && (saysFrom !== from || saysTo !== to)) {
    findings.push({
      level: 'warn',
      code: 'STEP_VERSION_DIFFERS',
      message: `MIGRATION_INFO of ${id} says ${saysFrom} to ${saysTo}, its folder ${from} to ${to}: the folder counts.`,
      hint: 'Correct MIGRATION_INFO, or move the step to the folder that it is for.',
      place: read.info.placeAt(['version_from']),
    });
  }
  return { declared, isDoubtful: found.length > 0, hasBackward, hasCheck: false, isPlainScript };
}

function readModule(step: RawStep, description: ModuleDescription | Failure, { problems }: Context): Reading | null {
  const { id } = step.named;
  const place = { file: fileOf(step) };
  if ('code' in description) {
    problems.push({ ...description, place: description.place ?? place, step: id });
    return null;
  }
  if (!description.hasForward) problems.push(failure('STEP_NO_FORWARD', { step: id, wanted: 'forward(ctx)' }, { place, step: id }));
  const source: Located = { value: description.metadata ?? {}, isHidden: () => false, placeAt: () => place };
  const { declared, problems: found } = checkDeclared(source, [], id);
  problems.push(...found);
  return { declared, isDoubtful: found.length > 0, hasBackward: description.hasBackward, hasCheck: description.hasCheck };
}

function stepOf(
  { named, sha256, forward, ...rest }: RawStep,
  { declared, isDoubtful, hasBackward, hasCheck, isPlainScript = false }: Reading,
  { known, problems, database: fallback }: Context,
): Step {
  const metadata = metadataOf(declared?.text ?? {}, named.name);
  if (declared !== null) problems.push(...declaredProblems(declared, named.id, known));
  let database = metadata.database ?? fallback;
  if (named.kind === 'sql' && database === null) {
    const names = Object.keys(known.databases);
    const [only] = names;
    if (names.length === 1 && only !== undefined) database = only;
    else if (!isDoubtful)
      problems.push(
        failure(
          'STEP_NEEDS_DATABASE',
          { step: named.id, known: names },
          { place: { file: fileOf({ named, sha256, forward, ...rest }), line: 1 }, step: named.id },
        ),
      );
  }
  const isModule = named.kind === 'ts' || named.kind === 'js';
  // What a module does through its context is recorded as it happens; whatever else there is without a backward is put back by the backup alone.
  return {
    ...named,
    ...metadata,
    database,
    hasCheck,
    sha256,
    hasBackward,
    isDatabaseOnly: isModule && isDatabaseOnly(forward.toString()),
    isReversible: hasBackward || (isModule && isRecordedOnly(forward.toString())),
    isPlainScript,
  };
}

function emptyFinding(code: string, step: string, file: string, what: string, hint: string): Finding {
  return { level: 'warn', code, message: `The step ${step} ${what}.`, hint, place: { file } };
}

function fileOf({ named, transition }: RawStep): string {
  return path.join(transition.dir, named.forwardFile);
}
