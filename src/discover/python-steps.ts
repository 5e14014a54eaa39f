// Reads what Python steps say of themselves without running them: one isolated python3 parses all files.
import { spawn } from 'node:child_process';
import { failure, messageOf, type Failure } from '../model/failure.ts';
import type { Located } from '../model/yaml-source.ts';

export interface PythonFile {
  readonly file: string;
  readonly step: string;
  readonly text: string;
}

export interface PythonStep {
  /** MIGRATION_INFO with its lines; `null` where there is none. */
  readonly info: Located | null;
  readonly hasForward: boolean;
  readonly hasBackward: boolean;
}

const deadlineMs = 60_000;

/** Names that are bound at top level, and MIGRATION_INFO where it is a literal. Python 3.8 or newer. */
const script = `
import ast, json, sys
answers = []
for text in json.load(sys.stdin):
    answer = {"names": [], "info": None, "lines": {}, "line": None, "error": None, "infoError": None}
    answers.append(answer)
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        answer["error"] = getattr(error, "msg", None) or str(error)
        answer["line"] = getattr(error, "lineno", None)
        continue
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            answer["names"].append(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            answer["names"] += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            answer["names"] += names
            if "MIGRATION_INFO" not in names or node.value is None:
                continue
            answer["line"] = node.lineno
            try:
                info = ast.literal_eval(node.value)
                json.dumps(info)
                if not isinstance(info, dict):
                    raise ValueError("it is not a dictionary")
                answer["info"] = info
                answer["lines"] = {str(key.value): key.lineno for key in node.value.keys if isinstance(key, ast.Constant)}
            except (ValueError, TypeError, RecursionError) as error:
                answer["infoError"] = str(error).split(" on line")[0].split(" at 0x")[0].replace("<", "")
json.dump(answers, sys.stdout)
`;

interface Answer {
  readonly names: readonly string[];
  readonly info: unknown;
  readonly lines: Readonly<Record<string, number>>;
  readonly line: number | null;
  readonly error: string | null;
  readonly infoError: string | null;
}

/** One answer per file, in order. */
export async function readPythonSteps(files: readonly PythonFile[]): Promise<readonly (PythonStep | Failure)[]> {
  const [first] = files;
  if (first === undefined) return [];
  try {
    const answers = JSON.parse(await runPython(JSON.stringify(files.map(({ text }) => text)))) as readonly Answer[];
    return files.map((file, at) => stepOf(file, answers[at]));
  } catch (error) {
    const why = isMissing(error) ? 'is not installed' : `failed (${messageOf(error)})`;
    const missing = failure('PYTHON_MISSING', { steps: files.length, error: why }, { place: { file: first.file }, step: first.step });
    return files.map(() => missing);
  }
}

function stepOf({ file, step }: PythonFile, answer: Answer | undefined): PythonStep | Failure {
  if (answer === undefined) return failure('STEP_UNPARSABLE', { step, error: 'python3 gave no answer for it' }, { place: { file }, step });
  const place = answer.line === null ? { file } : { file, line: answer.line };
  if (answer.error !== null) return failure('STEP_UNPARSABLE', { step, error: answer.error }, { place, step });
  if (answer.infoError !== null) return failure('STEP_INFO_NOT_LITERAL', { step, error: answer.infoError }, { place, step });
  const info: Located | null =
    answer.info === null
      ? null
      : {
          value: answer.info,
          isHidden: () => false,
          placeAt: (path) => ({ file, line: answer.lines[String(path[0])] ?? answer.line ?? 1 }),
        };
  return { info, hasForward: answer.names.includes('migrate_forward'), hasBackward: answer.names.includes('migrate_backward') };
}

function runPython(input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // -I: neither the environment nor the current folder decides what is imported.
    const child = spawn('python3', ['-I', '-c', script], { stdio: ['pipe', 'pipe', 'pipe'], timeout: deadlineMs, killSignal: 'SIGKILL' });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    child.on('error', reject);
    // A python3 that ends early closes its input: the exit tells why, not the pipe.
    child.stdin.on('error', () => undefined);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(Buffer.concat(output).toString());
      else reject(new Error(`exit ${code ?? signal}: ${Buffer.concat(errors).toString().trim().split('\n').at(-1) ?? ''}`));
    });
    child.stdin.end(input);
  });
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
