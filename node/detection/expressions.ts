// CEL with bounds: a policy is untrusted, and is evaluated over untrusted data every second on the agent's event loop. Expressions
// are bounded in size and in the nesting of macros, and patterns are matched without backtracking.

import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { messageOf } from '../../swarm/words.ts';
import { compilePattern, PatternAllowance } from '../patterns.ts';

export type Bindings = Record<string, unknown>;
export type Expression = (bindings: Bindings) => unknown;

const LIMITS = { maxAstNodes: 500, maxDepth: 32 };
/** `all`, `exists`, `map` and similar: each can multiply the work and the size of its result by the size of a collection. */
const MACROS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter', 'bind']);
const MAX_MACROS = 16;
/** A macro over the result of another counts as nested in it. */
const MAX_NESTED = 2;
/** `matches` of cel-js backtracks, and cannot be replaced under its name. */
const MATCHES = { given: 'matches', own: 'matches_linear' } as const;

const SHOWN_BEFORE = 30;
const SHOWN_AFTER = 40;

/** A position in an expression, on one line: `column 9 of stat == 'exited'`. */
export function placeInText(text: string, index: number): string {
  const from = Math.max(0, index - SHOWN_BEFORE);
  const until = Math.min(text.length, index + SHOWN_AFTER);
  const excerpt = text.slice(from, until).replaceAll(/\s+/g, ' ');
  return `column ${index + 1} of ${from > 0 ? '…' : ''}${excerpt}${until < text.length ? '…' : ''}`;
}

/** The error of an expression, on one line: cel-js shows the position on further lines. */
export function oneLine(error: unknown, text: string): string {
  const message = messageOf(error);
  const [first = ''] = message.trim().split('\n');
  const start = (error as { range?: { start?: unknown } } | null)?.range?.start;
  return typeof start === 'number' && message.includes('\n') ? `${first}, in ${placeInText(text, start)}` : first;
}

/** Expressions over these variables. */
export class Expressions {
  readonly #environment = new Environment({ limits: LIMITS });
  #allowance = new PatternAllowance();

  constructor(variables: readonly string[]) {
    for (const name of variables) this.#environment.registerVariable(name, 'map');
    this.#environment.registerFunction(`string.${MATCHES.own}(string): bool`, (text: string, pattern: string) =>
      this.#allowance.pattern(pattern, text).test(text),
    );
  }

  /** @throws Error with the problem and its position. */
  compile(text: string, type: 'bool' | 'dyn'): Expression {
    const expression = this.#environment.parse(text);
    bound(expression.ast, text);
    const check = expression.check();
    if (!check.valid) throw check.error ?? new Error('it has no type');
    if (type === 'bool' && check.type !== 'bool' && check.type !== 'dyn')
      throw new Error(`"${text}" is ${check.type}, it must be bool`);
    return (bindings) => {
      this.#allowance = new PatternAllowance();
      return expression(bindings);
    };
  }
}

/** Checks the cost of an expression, and compiles its patterns with RE2. @throws Error if it may take long or a pattern is invalid. */
function bound(root: ASTNode, text: string): void {
  let macros = 0;
  const visit = (node: ASTNode, nested: number): void => {
    const name = node.op === 'rcall' || node.op === 'call' ? node.args[0] : '';
    const isMacro = node.op === 'rcall' && MACROS.has(name);
    if (isMacro && (++macros > MAX_MACROS || nested >= MAX_NESTED))
      throw new Error(
        `"${text}" uses ${[...MACROS].join(', ')} more than ${MAX_MACROS} times, or more than ${MAX_NESTED} nested`,
      );
    if (node.op === 'rcall' && name === MATCHES.given && node.args[2].length === 1) linear(node.args);
    for (const inner of nodesOf(node.args)) visit(inner, nested + (isMacro ? 1 : 0));
  };
  visit(root, 0);
}

function linear(call: [string, ASTNode, ASTNode[]]): void {
  const [pattern] = call[2];
  if (pattern?.op === 'value' && typeof pattern.args === 'string') {
    const compiled = compilePattern(pattern.args);
    if (!compiled.ok)
      throw new Error(`the pattern "${pattern.args}" (character ${pattern.start + 1} of the expression): ${compiled.reason}`);
  }
  call[0] = MATCHES.own;
}

function nodesOf(value: unknown): ASTNode[] {
  if (Array.isArray(value)) return value.flatMap(nodesOf);
  return typeof value === 'object' && value !== null && 'op' in value ? [value as ASTNode] : [];
}
