// Where a TypeScript source can be mutated, and into what: comparisons, logic, conditions, arithmetic, constants, removed statements
// and guards, early returns, array methods. What a test cannot be asked to see is left out: types, and the words of logs and errors.
import { type ESTree, parseSync } from 'rolldown/utils';

/** `text` is put in place of what lies from `start` to `end`. */
export interface Place {
  line: number;
  start: number;
  end: number;
  text: string;
}

type Node = ESTree.Node & { start: number; end: number };

const SWAPPED_OPERATORS: Record<string, string> = {
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '===': '!==',
  '!==': '===',
  '+': '-',
  '-': '+',
  '*': '/',
  '/': '*',
  '%': '*',
  '&&': '||',
  '||': '&&',
  '+=': '-=',
  '-=': '+=',
  '++': '--',
  '--': '++',
};
const SWAPPED_METHODS: Record<string, string> = {
  some: 'every',
  every: 'some',
  min: 'max',
  max: 'min',
  startsWith: 'endsWith',
  endsWith: 'startsWith',
  push: 'unshift',
  unshift: 'push',
};
/** Whose words and figures are for people. */
const TELLERS = /^#?(log|warn|say)$/;
const JUMPS = new Set(['ReturnStatement', 'ThrowStatement', 'ContinueStatement', 'BreakStatement']);
/** Above it, one more is hardly another number: twice as much is. */
const SMALL = 10n;

export function parse(path: string, text: string): Node {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  return program as Node;
}

export function childrenOf(node: Node): Node[] {
  return Object.values(node)
    .flat()
    .filter((value): value is Node => typeof value === 'object' && value !== null && typeof value.type === 'string');
}

export function lineCounter(text: string): (offset: number) => number {
  const starts = [...text.matchAll(/\n/g)].map(({ index }) => index + 1);
  return (offset) => {
    let [low, high] = [0, starts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  };
}

function nameOf(callee: Node): string {
  if (callee.type === 'Identifier') return callee.name;
  if (callee.type === 'MemberExpression' && 'name' in callee.property) return String(callee.property.name);
  return '';
}

const isText = (node: Node): boolean =>
  node.type === 'TemplateLiteral' ||
  (node.type === 'Literal' && typeof node.value === 'string') ||
  (node.type === 'BinaryExpression' && node.operator === '+' && (isText(node.left as Node) || isText(node.right as Node)));

/** Messages, types and imports. */
function isLeftOut(node: Node): boolean {
  if (/^TS(?!AsExpression|NonNullExpression|SatisfiesExpression)|^(Import|ExportAll)/.test(node.type)) return true;
  if (node.type === 'CallExpression') return TELLERS.test(nameOf(node.callee as Node));
  return node.type === 'NewExpression' && /Error$/.test(nameOf(node.callee as Node));
}

const isTelling = (statement: Node): boolean =>
  statement.type === 'ExpressionStatement' && isLeftOut(statement.expression as Node);

export function placesIn(path: string, text: string): Place[] {
  const places: Place[] = [];
  const lineOf = lineCounter(text);
  const put = (start: number, end: number, by: string): void => void places.push({ line: lineOf(start), start, end, text: by });
  const swap = (node: Node, from: number, to: number, operator: string): void => {
    const by = SWAPPED_OPERATORS[operator];
    const start = text.indexOf(operator, from);
    if (by !== undefined && start >= 0 && start < to) put(start, start + operator.length, by);
    else if (by !== undefined) throw new Error(`${path}:${lineOf(node.start)}: no ${operator}`);
  };
  const negate = (test: Node): void => {
    if (test.type === 'UnaryExpression' && test.operator === '!') put(test.start, test.argument.start, '');
    else if (test.type !== 'BinaryExpression' || SWAPPED_OPERATORS[test.operator] === undefined) {
      put(test.start, test.end, `!(${text.slice(test.start, test.end)})`);
    }
  };
  const literal = (node: Node & { type: 'Literal' }): void => {
    const { value } = node;
    if (typeof value === 'boolean') put(node.start, node.end, String(!value));
    else if (typeof value === 'bigint') put(node.start, node.end, `${value > SMALL ? value * 2n : value + 1n}n`);
    else if (typeof value === 'number') put(node.start, node.end, String(value > Number(SMALL) ? value * 2 : value + 1));
  };
  const enterBody = (node: Node): void => {
    if (!('body' in node) || node.body === null || node.body === undefined || Array.isArray(node.body)) return;
    const body = node.body as Node;
    const first = body.type === 'BlockStatement' ? body.body[0] : undefined;
    if (body.type !== 'BlockStatement' || first === undefined || body.body.length < 2) return;
    const returned = (node as { returnType?: Node | null }).returnType;
    const returns = returned === null || returned === undefined ? '' : text.slice(returned.start, returned.end);
    if (/^: *(void|Promise<void>)$/.test(returns)) put(first.start, first.start, 'return; ');
  };
  const visit = (node: Node): void => {
    if (isLeftOut(node)) return;
    switch (node.type) {
      case 'BinaryExpression':
        if (!isText(node)) swap(node, node.left.end, node.right.start, node.operator);
        break;
      case 'LogicalExpression':
        swap(node, node.left.end, node.right.start, node.operator);
        break;
      case 'AssignmentExpression':
        if (!isText(node.right as Node)) swap(node, node.left.end, node.right.start, node.operator);
        break;
      case 'UpdateExpression':
        swap(node, node.start, node.end, node.operator);
        break;
      case 'CallExpression': {
        const by = SWAPPED_METHODS[nameOf(node.callee as Node)];
        if (by !== undefined && node.callee.type === 'MemberExpression') {
          put(node.callee.property.start, node.callee.property.end, by);
        }
        break;
      }
      case 'Literal':
        literal(node);
        break;
      case 'IfStatement': {
        negate(node.test as Node);
        const then = node.consequent as Node;
        const last = then.type === 'BlockStatement' ? (then.body.at(-1) as Node | undefined) : then;
        if (node.alternate === null && last !== undefined && JUMPS.has(last.type)) put(node.start, node.end, ';');
        break;
      }
      case 'ConditionalExpression':
      case 'WhileStatement':
        negate(node.test as Node);
        break;
      case 'ExpressionStatement':
        if (!isTelling(node) && !('directive' in node && node.directive)) put(node.start, node.end, ';');
        break;
      case 'ReturnStatement':
      case 'ThrowStatement':
        put(node.start, node.end, ';');
        break;
      case 'FunctionDeclaration':
      case 'FunctionExpression':
      case 'ArrowFunctionExpression':
        enterBody(node);
        break;
    }
    for (const child of childrenOf(node)) visit(child);
  };
  visit(parse(path, text));
  return places;
}
