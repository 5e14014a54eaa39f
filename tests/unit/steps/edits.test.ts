import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { editEnv } from '../../../src/steps/host/edit-env.ts';
import { editYaml } from '../../../src/steps/host/edit-yaml.ts';
import { keepUntouchedLines } from '../../../src/steps/host/keep-lines.ts';

describe('YAML', () => {
  test.each([
    { why: 'a value', before: 'a:   1   # one\nb: [1,2]\n', path: ['a'], value: 2, after: 'a: 2 # one\nb: [1,2]\n' },
    { why: 'a new key', before: '# head\n\na: 1\n\n# tail\n', path: ['b'], value: 'x', after: '# head\n\na: 1\nb: x\n\n# tail\n' },
    {
      why: 'an item of a list that is not indented',
      before: 'list:\n- a\n- b   # second\n',
      path: ['list', 0],
      value: 'c',
      after: 'list:\n- c\n- b   # second\n',
    },
    { why: 'Windows line ends', before: 'a: 1\r\nb: 2\r\n', path: ['a'], value: 3, after: 'a: 3\r\nb: 2\r\n' },
    { why: 'an empty file', before: '', path: ['a'], value: 1, after: 'a: 1\n' },
    {
      why: 'anchors and block texts',
      before: 'x: &x {a: 1}\ny: *x\nt: |\n    two\n    lines\nz: 1\n',
      path: ['z'],
      value: 2,
      after: 'x: &x {a: 1}\ny: *x\nt: |\n    two\n    lines\nz: 2\n',
    },
  ])('$why', async ({ before, path, value, after }) => {
    expect(await editYaml(before, (doc) => doc.setIn(path, value))).toBe(after);
  });

  test('what is wrong is told with its line', async () => {
    await expect(editYaml('a: [1\nb: 2\n', () => {})).rejects.toThrow(/line 2/);
  });

  test('the result always means what was asked for', async () => {
    const value = fc.oneof(fc.integer(), fc.constantFrom('x', 'two words', '# no comment', 'a: b', '', 'yes'), fc.boolean());
    const layout = fc.constantFrom(
      'a: 1\nm:\n  n: 2 # c\nl:\n- 1\n- 2\n',
      'm:\n    n: {x: 1}\n    l:\n    - 1\n    - k: 2\na: 1\n',
      'l: [1,  2]\n# c\nm: {n: 1}\n',
    );
    await fc.assert(
      fc.asyncProperty(layout, value, fc.constantFrom(['a'], ['m', 'n'], ['m', 'new'], ['l', 1], ['l', 2]), async (text, wanted, path) => {
        const [first = '', second] = path;
        const edited: unknown = parse(await editYaml(text, (doc) => doc.setIn(path, wanted)));
        const outer = typeof edited === 'object' && edited !== null ? Reflect.get(edited, first) : undefined;
        expect(second === undefined ? outer : Reflect.get(outer, second)).toEqual(wanted);
      }),
    );
  });
});

describe('.env', () => {
  test('any value is read back as it was set', () => {
    const value = fc.string({ unit: fc.constantFrom('a', ' ', '"', "'", '#', '\\', '$', '\n', '=', 'n'), maxLength: 8 });
    fc.assert(
      fc.property(value, fc.constantFrom('', 'K=1\n', 'K="1"\n', "K='1' # c\n", 'A=1\nexport K=2'), (wanted, text) => {
        let seen: string | undefined;
        const edited = editEnv(text, { K: wanted });
        editEnv(edited, (values) => {
          seen = values['K'];
          return {};
        });
        expect(seen).toBe(wanted);
        expect(editEnv(edited, { K: wanted })).toBe(edited);
      }),
    );
  });

  test('nothing asked for, nothing changed', () => {
    const text = `# a\n\nA = 1 \nB="x\ny"\nnot an assignment\n`;
    expect(editEnv(text, {})).toBe(text);
    expect(editEnv(text, { A: null, C: null })).toBe(`# a\n\nB="x\ny"\nnot an assignment\n`);
  });
});

test('lines of two layouts are merged only where they correspond', () => {
  expect(keepUntouchedLines('a:  1\nb:   2\n', 'a: 1\nb: 2\n', 'a: 1\nx: 0\nb: 3\n')).toBe('a:  1\nx: 0\nb: 3\n');
  expect(keepUntouchedLines('{a: 1,\nb: 2}\n', '{ a: 1, b: 2 }\n', '{ a: 1, b: 3 }\n')).toBeNull();
});
