// Regular expressions from outside: of a configuration, a policy, an SQL statement. The text that they search is not trusted either.
// So the engine does not backtrack (RE2: linear in the text for any pattern), and both the pattern and the work have limits.

import { RE2JS } from 're2js';
import { messageOf } from '../swarm/words.ts';

const MAX_PATTERN_LENGTH = 1_000;
/** Instructions of the compiled pattern. `.{0,1000}` has 2,003; RE2 allows no repeat count over 1,000. */
const MAX_INSTRUCTIONS = 4_096;
/** RE2 runs each instruction at most once for each character: this limits one evaluation to about 0.1 s. */
const MAX_STEPS = 2_000_000;
/** Compiled patterns that are kept. */
const MAX_KEPT = 256;

export interface Pattern {
  /** Maximum instructions for each character of text. */
  readonly cost: number;
  test(text: string): boolean;
  /** The first match and its groups, null for a group that did not match; undefined if there is no match. */
  match(text: string): (string | null)[] | undefined;
  /** The parts of a text between the matches. */
  split(text: string): string[];
}

export type Compiled = { ok: true; pattern: Pattern } | { ok: false; reason: string };

export function compilePattern(text: string): Compiled {
  const wrong = refusal(text);
  if (wrong !== undefined) return { ok: false, reason: wrong };
  try {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(text), RE2JS.LOOKBEHINDS);
    const cost = compiled.programSize();
    if (cost > MAX_INSTRUCTIONS)
      return {
        ok: false,
        reason: `it compiles to ${cost} instructions (limit ${MAX_INSTRUCTIONS}): use smaller repeat counts`,
      };
    const match = (one: string): (string | null)[] | undefined => {
      const matcher = compiled.matcher(one);
      return matcher.find() ? Array.from({ length: matcher.groupCount() + 1 }, (_, i) => matcher.group(i)) : undefined;
    };
    return { ok: true, pattern: { cost, test: (one) => compiled.test(one), match, split: (one) => compiled.split(one) } };
  } catch (error) {
    return { ok: false, reason: explained(text, messageOf(error)) };
  }
}

const kept = new Map<string, Compiled>();

/**
 * For evaluations that cannot be interrupted, with patterns and text that are not trusted. Each pattern is compiled once. All searches
 * of one allowance together take about 0.1 s.
 */
export class PatternAllowance {
  #steps = MAX_STEPS;

  /** @throws RangeError if the pattern is invalid, or the text is too long for it. */
  pattern(text: string, over: string): Pattern {
    const compiled = kept.get(text) ?? compilePattern(text);
    if (kept.size >= MAX_KEPT && !kept.has(text)) kept.delete(kept.keys().next().value ?? '');
    kept.set(text, compiled);
    if (!compiled.ok) throw new RangeError(`the pattern ${shown(text)}: ${compiled.reason}`);
    const { cost } = compiled.pattern;
    if (over.length * cost > this.#steps)
      throw new RangeError(
        `the pattern ${shown(text)} may search only ${Math.floor(this.#steps / cost)} more characters in this evaluation, but the text has ${over.length}`,
      );
    this.#steps -= over.length * cost;
    return compiled.pattern;
  }
}

const shown = (text: string): string => `"${text.length > 60 ? `${text.slice(0, 60)}…` : text}"`;

/** Unsupported forms with a specific error: RE2 only reports an invalid escape or syntax. */
const UNSUPPORTED: readonly [RegExp, string][] = [
  [/^\\[1-9]/, 'a back-reference is not supported: the engine does not backtrack'],
  [/^\\k</, 'a back-reference is not supported: the engine does not backtrack'],
  [/^\(\?[=!]/, 'a lookahead is not supported: the engine does not backtrack'],
  [/^\(\?>|^[*+?}]\+/, 'an atomic group or a possessive quantifier is not supported: the engine does not backtrack'],
];

function refusal(text: string): string | undefined {
  if (text.length > MAX_PATTERN_LENGTH) return `it has ${text.length} characters (limit ${MAX_PATTERN_LENGTH})`;
  let [inClass, open] = [false, 0];
  for (let at = 0; at < text.length; at++) {
    const rest = text.slice(at, at + 3);
    const found = inClass ? undefined : UNSUPPORTED.find(([form]) => form.test(rest));
    if (found !== undefined) return `at character ${at + 1}: ${found[1]}`;
    if (rest.startsWith('\\')) at++;
    else if (rest.startsWith('[')) inClass = true;
    else if (rest.startsWith(']')) inClass = false;
    else if (rest.startsWith('(') && !inClass) open++;
    else if (rest.startsWith(')') && !inClass && --open < 0) return `at character ${at + 1}: unmatched )`;
  }
  return undefined;
}

/** RE2's error with the position: RE2 only quotes the invalid part. */
function explained(text: string, message: string): string {
  const [, what = message, part = ''] = message.match(/^error parsing regexp: (.*?)(?:: `(.*)`)?$/s) ?? [];
  const missing = what.startsWith('missing closing');
  const at = missing || part === '' ? text.length : text.indexOf(part);
  const where = at < 0 ? '' : `at character ${Math.min(at + 1, text.length)}: `;
  return `${where}${what}${missing || part === '' ? '' : ` ${part}`}`;
}
