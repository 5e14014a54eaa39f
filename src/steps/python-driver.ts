// The program that runs one half of a Python step. It reports through descriptor 4, so that an exit in the middle is never taken for success.
export const pythonDriver = `
import importlib.util, os, pathlib, sys, traceback
path, half, root = sys.argv[1:4]
sys.argv = [path, half]
sys.path[0] = os.path.dirname(path)

def settle(word):
    os.write(4, word.encode('utf-8', 'replace'))

spec = importlib.util.spec_from_file_location('rungs_step', path)
module = importlib.util.module_from_spec(spec)
sys.modules['rungs_step'] = module
try:
    spec.loader.exec_module(module)
except SyntaxError as error:
    traceback.print_exc()
    settle('syntax line %s: %s' % (error.lineno, error.msg))
    sys.exit(1)
except ImportError as error:
    traceback.print_exc()
    settle('import ' + str(error))
    sys.exit(1)
function = getattr(module, 'migrate_' + half, None)
if not callable(function):
    settle('no-function ' + ('undefined' if function is None else 'a ' + type(function).__name__))
    sys.exit(1)
try:
    result = function(pathlib.Path(root))
except Exception as error:
    traceback.print_exc()
    settle('threw %s: %s' % (type(error).__name__, error))
    sys.exit(1)
sys.stdout.flush()
settle('false' if result is False else 'done')
sys.exit(1 if result is False else 0)
`;
