// Messages for values that a schema rejects: the place, the value, and what it should be. For configuration, API and command line.
import type { z } from 'zod';
import { closest } from './errors.ts';

const MAX_SHOWN = 60;

/** The beginning of a value, enough to recognise it, without characters that a terminal would obey. */
export function shortly(value: unknown): string {
  const text = (JSON.stringify(value) ?? String(value)).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}… (${text.length} characters)` : text;
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'a quoted string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list, in brackets',
  object: 'a table',
  record: 'a table',
};

/** What the value must be; if the schema has its own message, that. */
export function shouldBe(issue: z.core.$ZodIssue, value: unknown): string {
  if (!/^(Invalid|Too) /.test(issue.message)) return mustBe(issue.message); // the schema's own message
  const be = value === undefined ? MISSING : MUST_BE;
  switch (issue.code) {
    case 'invalid_type':
      return `${be}${TYPES[issue.expected] ?? issue.expected}`;
    case 'too_big':
      return `must be at most ${issue.maximum}${unitOf(issue.origin, issue.maximum)}`;
    case 'too_small':
      return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unitOf(issue.origin, issue.minimum)}`;
    case 'invalid_value':
      return `${be}${quoted(issue.values)}`;
    case 'invalid_union':
      // One part for each alternative.
      if (!('note' in issue)) return be + unionWords(issue, value);
      return value === undefined && 'options' in issue
        ? be + quoted(issue.options ?? [])
        : `is not a known ${String(issue.discriminator)}`;
    case 'invalid_format':
      return `is not a valid ${issue.format === 'regex' ? 'value' : issue.format}`;
    case 'custom':
      return 'is not valid';
    default:
      return issue.message;
  }
}

const MISSING = 'is missing: ';
const MUST_BE = 'must be ';
const quoted = (values: readonly unknown[]): string => values.map((one) => JSON.stringify(one)).join(' or ');
const UNITS: Readonly<Record<string, string>> = { string: ' character', array: ' item' };
function unitOf(origin: string, count: number | bigint): string {
  const unit = UNITS[origin];
  return unit === undefined ? '' : `${unit}${count === 1 ? '' : 's'}`;
}
/** A schema's message is what the value should be, as a noun ("a time such as 2s"), or what is wrong, with a verb. */
const mustBe = (message: string): string =>
  /^(an?|the|letters|three|one|at most|"off")[ ,]/.test(message) ? `${MUST_BE}${message}` : message;

function unionWords(issue: z.core.$ZodIssueInvalidUnion, value: unknown): string {
  const words = issue.errors.flatMap((errors) =>
    errors.slice(0, 1).map((one) => shouldBe(one, value).replace(/^(must be|is missing:) /, '')),
  );
  return [...new Set(words)].join(', or ');
}

interface Walked {
  def: { type: string; innerType?: Walked; in?: Walked; element?: Walked; options?: Walked[]; valueType?: Walked };
  shape?: Record<string, Walked>;
}

/** The schema below defaults, refinements and transformations. */
function bare(schema: Walked): Walked {
  const inner = schema.def.innerType ?? schema.def.in;
  return inner === undefined ? schema : bare(inner);
}

/** The keys that a schema knows at a place; empty if it is not a table there. */
export function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let at = [bare(schema as unknown as Walked)];
  const spread = (some: readonly Walked[]): Walked[] =>
    some.flatMap((one) => (one.def.options === undefined ? [one] : spread(one.def.options.map(bare))));
  for (const key of path)
    at = spread(at).flatMap(({ shape, def }) => {
      const inner = typeof key === 'number' ? def.element : (shape?.[String(key)] ?? def.valueType);
      return inner === undefined ? [] : [bare(inner)];
    });
  return [...new Set(spread(at).flatMap(({ shape }) => Object.keys(shape ?? {})))];
}

/** `service.[2].name` */
export const placeOf = (path: readonly PropertyKey[]): string =>
  path.map((part) => (typeof part === 'number' ? `[${part + 1}]` : String(part).replace(/[^\w.-]/g, '?'))).join('.');

function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined),
    document,
  );
}

/** "unknown key", with the key that was probably meant. */
export function unknownKey(key: string, known: readonly string[]): string {
  const meant = closest(key, known);
  return `unknown key${meant === undefined ? '' : `; did you mean "${meant}"?`}`;
}

/** What is wrong with a document, on one line. @param document undefined: its values are not shown. @param schema the schema that rejected it */
export function wordsOf({ issues }: z.core.$ZodError, document: unknown, schema?: z.ZodType): string {
  const words = issues.flatMap((issue) => {
    const { path } = issue;
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map(
        (key) => `${placeOf([...path, key])}: ${unknownKey(key, schema === undefined ? [] : keysAt(schema, path))}`,
      );
    const value = document === undefined ? null : valueAt(document, path);
    const place = placeOf(path);
    const given = document === undefined || value === undefined || path.length === 0 ? '' : ` = ${shortly(value)}`;
    return [`${place}${given}${place === '' ? '' : ': '}${shouldBe(issue, value)}`];
  });
  return words.join('; ');
}
