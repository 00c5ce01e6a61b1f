// Patterns that come from outside: matched without backtracking, bounded, and refused with the place where they are wrong.
import fc from 'fast-check';
import { RE2JS } from 're2js';
import { describe, expect, it, vi } from 'vitest';
import { configSchema } from '../../node/config/config.ts';
import { Expressions } from '../../node/detection/expressions.ts';
import { policySchema } from '../../node/detection/policy.ts';
import { PolicyDetector } from '../../node/detection/policy-detector.ts';
import { compilePattern, PatternAllowance } from '../../node/patterns.ts';

const NASTY = `${'a'.repeat(45)}!`;

function reasonOf(text: string): string {
  const compiled = compilePattern(text);
  return compiled.ok ? `fine, at ${compiled.pattern.cost}` : compiled.reason;
}

describe('a pattern', () => {
  it.each(['^(\\w+\\s?)*$', '^(a+)+$', '(a|aa)+$', '(a|a?)+$', '^(([a-z])+.)+[A-Z]([a-z])+$', '(.*a){20}$', '(x+x+)+y'])(
    '%s does not backtrack',
    (text) => {
      const compiled = compilePattern(text);
      expect(compiled.ok).toBe(true);
      // Backtracking would take 2^45 steps here: were it not linear, this would never end.
      expect(compiled.ok && compiled.pattern.test(`${NASTY}${NASTY}`)).toBe(new RegExp(text).test('a!'));
    },
  );

  it.each<[string, string]>([
    ['(a', 'at character 2: missing closing )'],
    ['a)b', 'at character 2: unmatched )'],
    ['*a', 'at character 1: missing argument to repetition operator'],
    ['[z-a]', 'at character 2: invalid character class range z-a'],
    ['(a)\\1', 'at character 4: a back-reference is not supported'],
    ['(?<n>a)\\k<n>', 'at character 8: a back-reference is not supported'],
    ['foo(?=bar)', 'at character 4: a lookahead is not supported'],
    ['foo(?!bar)', 'at character 4: a lookahead is not supported'],
    ['a{1001}', 'at character 2: invalid repeat count {1001}'],
    ['((a{100}){100}){100}', 'invalid repeat count'],
    ['.{0,1000}.{0,1000}.{0,1000}', 'instructions (limit 4096)'],
    ['x'.repeat(1_001), 'it has 1001 characters (limit 1000)'],
    ['x'.repeat(1_000), 'fine, at 1002'],
    ['[(]\\1', 'at character 4: a back-reference is not supported'],
    ['a++', 'at character 2: an atomic group or a possessive quantifier is not supported'],
    ['(?>a)', 'at character 1: an atomic group or a possessive quantifier is not supported'],
    ['[(?=]', 'fine, at '],
    ['[)]', 'fine, at '],
    ['[a]b)', 'at character 5: unmatched )'],
    ['\\[)', 'at character 3: unmatched )'],
    ['(a))', 'at character 4: unmatched )'],
    ['(a)(b)', 'fine, at '],
    ['\\\\(?=a)', 'at character 3: a lookahead is not supported'],
    ['\\(?=a', 'fine, at '],
  ])('%s is refused, with the place', (text, reason) => {
    expect(reasonOf(text)).toContain(reason);
  });

  it('that was valid before is valid still, but for what needs backtracking', () => {
    const before = [
      'ERROR|panic',
      '\\bOOM\\b',
      '^\\[\\d+\\.\\d+\\]',
      '\\u0041',
      '\\cJ',
      '(?<word>\\w+)',
      '[^]',
      'a/b',
      '\\/',
      '{',
      'a{,5}',
      ']',
      '\\-',
      '(?<!not )found',
      '(?<=a)b',
      '[\\w-]+',
      '\\p{L}',
      '\\s\\S',
      '$^',
      '.{0,1000}',
    ];
    expect(before.filter((text) => !compilePattern(text).ok)).toEqual([]);
  });

  it('means the same as before', () => {
    const word = fc.stringMatching(/^[a-c \n]{0,8}$/);
    const atom = fc.constantFrom('a', 'b', '.', '\\w', '[^a]', '(a|b)', '(?:ab)', '\\b', 'c');
    const pattern = fc
      .array(fc.tuple(atom, fc.constantFrom('', '*', '+', '?', '{1,2}')), { minLength: 1, maxLength: 5 })
      .map((parts) => parts.map(([one, count]) => (one === '\\b' ? one : one + count)).join(''));
    fc.assert(
      fc.property(pattern, word, (text, over) => {
        const compiled = compilePattern(text);
        expect(compiled.ok && compiled.pattern.test(over)).toBe(new RegExp(text).test(over));
      }),
      { numRuns: 300 },
    );
  });

  it('of any form takes no more steps than its size times the text, or is refused', () => {
    const atom = fc.constantFrom(
      'a',
      '(a+)+',
      '(a|a)*',
      '.*',
      '(\\w+\\s?)*',
      '[a-z]{0,200}',
      '(a{9}){9}',
      '(?:',
      ')',
      '(',
      '|',
      '\\',
      '[',
      '{2}',
      'é',
    );
    fc.assert(
      fc.property(fc.array(atom, { maxLength: 30 }), (parts) => {
        const text = parts.join('');
        const compiled = compilePattern(text);
        if (!compiled.ok) expect(compiled.reason.length).toBeGreaterThan(5);
        else expect(compiled.pattern.cost).toBeLessThanOrEqual(4_096);
        const long = 'a'.repeat(1_000_000);
        if (compiled.ok) expect(() => new PatternAllowance().pattern(text, long)).toThrow('more characters in this evaluation');
      }),
      { numRuns: 200 },
    );
  });

  it('finds what matches first with its groups, and splits', () => {
    const compiled = compilePattern('(a)(x)?(b+)');
    if (!compiled.ok) return expect.fail(compiled.reason);
    expect(compiled.pattern.match('--abb-ab')).toEqual(['abb', 'a', null, 'bb']);
    expect(compiled.pattern.match('--')).toBeUndefined();
    expect(compiled.pattern.split('1ab2axb3')).toEqual(['1', '2', '3']);
  });

  it('may use up an allowance to the last step, and is named shortly where it may not', () => {
    const compiled = compilePattern('a');
    const cost = compiled.ok ? compiled.pattern.cost : expect.fail();
    const steps = (characters: number): string => 'a'.repeat(characters);
    const whole = Math.floor(2_000_000 / cost);
    const allowance = new PatternAllowance();
    expect(() => allowance.pattern('a', steps(whole + 1))).toThrow(
      `the pattern "a" may search only ${whole} more characters in this evaluation, but the text has ${whole + 1}`,
    );
    allowance.pattern('a', steps(whole - 10));
    allowance.pattern('a', steps(10));
    expect(() => allowance.pattern('a', steps(cost))).toThrow(/may search only \d more characters/);
    for (const [length, named] of [
      [60, `"${'x'.repeat(60)}"`],
      [61, `"${'x'.repeat(60)}…"`],
    ] as const)
      expect(() => new PatternAllowance().pattern('x'.repeat(length), steps(2_000_000))).toThrow(
        `the pattern ${named} may search only`,
      );
  });

  it('is compiled once, while it is among the newest 256', () => {
    const compiling = vi.spyOn(RE2JS, 'compile');
    const allowance = new PatternAllowance();
    const many = (count: number): void => {
      for (let nth = 0; nth < count; nth++) allowance.pattern(`once-${nth}`, '');
    };
    many(256);
    many(256);
    expect(compiling).toHaveBeenCalledTimes(256);
    allowance.pattern('once-256', '');
    for (let nth = 256; nth > 0; nth--) allowance.pattern(`once-${nth}`, '');
    expect(compiling).toHaveBeenCalledTimes(257);
    allowance.pattern('once-0', '');
    expect(compiling).toHaveBeenCalledTimes(258);
    compiling.mockRestore();
  });

  it('costs what it may look at, of an allowance for all', () => {
    const allowance = new PatternAllowance();
    expect(allowance.pattern('a+b', 'a'.repeat(100_000)).test('ab')).toBe(true);
    expect(() => {
      for (let i = 0; i < 100; i++) allowance.pattern('a+b', 'a'.repeat(100_000));
    }).toThrow('more characters in this evaluation');
  });
});

describe('an expression', () => {
  const expressions = new Expressions(['x']);
  const result = (text: string, x: Record<string, unknown> = {}): unknown => expressions.compile(text, 'dyn')({ x });

  it.each([
    `'${NASTY}'.matches('^(a+)+$')`,
    `x.text.matches(x.pattern)`,
    `[x.text].exists(one, one.matches('^(a+)+$'))`,
    `[x.text].map(one, one.matches('^(a+)+$'))[0]`,
    `[x.text].filter(one, one.matches(x.pattern)).size() > 0`,
    `{'a': x.text.matches('^(a+)+$')}.a`,
    `cel.bind(t, x.text, t.matches('^(a+)+$'))`,
    `true ? x.text.matches('^(a+)+$') : true`,
  ])('%s is matched without backtracking', (text) => {
    expect(result(text, { text: NASTY, pattern: '^(a+)+$' })).toBe(false);
  });

  it('is refused where a pattern is wrong, and where it may take long', () => {
    expect(() => result(`x.a == 1 && x.text.matches('(a')`)).toThrow(
      'the pattern "(a" (character 28 of the expression): at character 2: missing closing )',
    );
    expect(() => result('[1].all(a, [1].all(b, [1].all(c, true)))')).toThrow('more than 2 nested');
    expect(() => result(`['a'].map(a, a + a).map(b, b + b).map(c, c + c)`)).toThrow('more than 2 nested');
    expect(() => result(Array(17).fill('[1].all(a, true)').join(' && '))).toThrow('more than 16 times');
    expect(result('[1, 2].all(a, [1, 2].exists(b, a == b))')).toBe(true);
    expect(() => result('x.text.matches(x.pattern)', { text: 'a', pattern: '(' })).toThrow('missing closing');
    expect(() => result('x.text.matches(x.pattern)', { text: 'a'.repeat(1e6), pattern: 'a+' })).toThrow(
      'more characters in this evaluation',
    );
  });

  it('of a policy ends, and a policy with a wrong pattern is refused when it is read', () => {
    const policy = (when: string) => policySchema.parse({ name: 'p', when, severity: 'warning', summary: 's' });
    const detector = new PolicyDetector([policy(`'${NASTY}'.matches('^(a+)+$')`)]);
    expect(detector.observe({ nowMs: 0, wallMs: 0, metrics: new Map(), targets: new Map() })).toEqual([]);
    expect(() => new PolicyDetector([policy(`'a'.matches('(?=a)')`)])).toThrow('a lookahead is not supported');
  });
});

it('a log’s alert is refused in the configuration, with the place', () => {
  const alert = (text: string) =>
    configSchema.safeParse({ log: [{ path: '/var/log/a', max_bytes: 5_000, alert: text }] }).error?.issues[0]?.message;
  expect(alert('(a')).toBe('a regular expression of RE2: at character 2: missing closing )');
  expect(alert('a(?=b)')).toContain('a lookahead is not supported: the engine does not backtrack');
  expect(alert('^(\\w+\\s?)*$')).toBeUndefined();
});
