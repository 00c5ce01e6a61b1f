// What a schema refuses, in one line: where, what is there, and what it should be.
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { keysAt, placeOf, shortly, wordsOf } from '../../node/issue-words.ts';

const words = (schema: z.ZodType, document: unknown): string => {
  const { error } = schema.safeParse(document);
  return error === undefined ? 'fine' : wordsOf(error, document, schema);
};
const at = (inner: z.ZodType, value?: unknown): string =>
  words(z.strictObject({ key: inner }), value === undefined ? {} : { key: value });

describe('what a schema refuses', () => {
  it.each([
    [z.string(), undefined, 'key: is missing: a quoted string'],
    [z.string(), 7, 'key = 7: must be a quoted string'],
    [z.number(), 'x', 'key = "x": must be a number'],
    [z.int(), 1.5, 'key = 1.5: must be a whole number'],
    [z.boolean(), 'yes', 'key = "yes": must be true or false'],
    [z.array(z.string()), 'x', 'key = "x": must be a list, in brackets'],
    [z.strictObject({}), 'x', 'key = "x": must be a table'],
    [z.record(z.string(), z.string()), 1, 'key = 1: must be a table'],
    [z.number().max(10), 11, 'key = 11: must be at most 10'],
    [z.number().min(10), 9, 'key = 9: must be at least 10'],
    [z.number().positive(), 0, 'key = 0: must be more than 0'],
    [z.string().max(2), 'abc', 'key = "abc": must be at most 2 characters'],
    [z.array(z.number()).min(2), [1], 'key = [1]: must be at least 2 items'],
    [z.array(z.number()).min(1), [], 'key = []: must be at least 1 item'],
    [z.string().min(1), '', 'key = "": must be at least 1 character'],
    [z.string().max(1), 'ab', 'key = "ab": must be at most 1 character'],
    [z.enum(['a', 'b']), 'c', 'key = "c": must be "a" or "b"'],
    [z.literal(3), 4, 'key = 4: must be 3'],
    [z.union([z.number(), z.boolean()]), 'x', 'key = "x": must be a number, or true or false'],
    [z.union([z.number(), z.number().max(1)]), 'x', 'key = "x": must be a number'],
    [z.union([z.number(), z.boolean()]), undefined, 'key: is missing: a number, or true or false'],
    [
      z.union([z.union([z.string(), z.literal(3)]), z.strictObject({})]),
      undefined,
      'key: is missing: a quoted string, or 3, or a table',
    ],
    [z.enum(['a', 'b']), undefined, 'key: is missing: "a" or "b"'],
    [z.literal(3), undefined, 'key: is missing: 3'],
    [z.discriminatedUnion('kind', [z.object({ kind: z.literal('a') })]), undefined, 'key: is missing: a table'],
    [z.discriminatedUnion('kind', [z.object({ kind: z.enum(['a', 'b']) })]), {}, 'key.kind: is missing: "a" or "b"'],
    [z.string().regex(/^a/), 'b', 'key = "b": is not a valid value'],
    [z.email(), 'b', 'key = "b": is not a valid email'],
    [z.string().refine((text) => text === 'a'), 'b', 'key = "b": is not valid'],
    [z.string().refine(() => false, 'a time such as 2s'), 'b', 'key = "b": must be a time such as 2s'],
    [z.string().refine(() => false, 'needs a port'), 'b', 'key = "b": needs a port'],
    [z.discriminatedUnion('kind', [z.object({ kind: z.literal('a') })]), { kind: 'z' }, 'key.kind = "z": is not a known kind'],
  ])('is said in words: %#', (schema, value, expected) => {
    expect(at(schema, value)).toBe(expected);
  });

  it('is placed, each mistake by itself, the whole document without a place', () => {
    const schema = z.strictObject({ service: z.array(z.strictObject({ name: z.string(), port: z.int() })) });
    const document = {
      service: [
        { name: 'a', port: 1 },
        { name: 2, port: 1.5 },
      ],
    };
    expect(words(schema, document)).toBe(
      'service.[2].name = 2: must be a quoted string; service.[2].port = 1.5: must be a whole number',
    );
    expect(words(schema, 'text')).toBe('must be a table');
    expect(placeOf(['a b', 0, 'c-d.e_f'])).toBe('a?b.[1].c-d.e_f');
  });

  it('names a key that is not known, and what was meant, within lists, unions, defaults and tables of any key', () => {
    const inner = z.strictObject({ port: z.int().optional() });
    const schema = z.strictObject({
      list: z.array(inner).default([]),
      one: z.union([inner, z.string()]).optional(),
      any: z.record(z.string(), inner).optional(),
    });
    expect(words(schema, { list: [{}, { prot: 1 }] })).toBe('list.[2].prot: unknown key; did you mean "port"?');
    expect(words(schema, { any: { x: { prot: 1 } } })).toBe('any.x.prot: unknown key; did you mean "port"?');
    expect(words(schema, { lisst: [] })).toBe('lisst: unknown key; did you mean "list"?');
    expect(words(schema, { zzzzzzzz: 1 })).toBe('zzzzzzzz: unknown key');
    expect([
      keysAt(schema, []),
      keysAt(schema, ['list', 0]),
      keysAt(schema, ['one']),
      keysAt(schema, ['list', 0, 'port']),
    ]).toEqual([['list', 'one', 'any'], ['port'], ['port'], []]);
    const { error } = schema.safeParse({ lisst: [] });
    expect(error && wordsOf(error, {})).toBe('lisst: unknown key');
  });

  it('does not call missing what it cannot see', () => {
    const schema = z.strictObject({ mode: z.enum(['a', 'b']), port: z.union([z.int(), z.literal('off')]), name: z.string() });
    const { error } = schema.safeParse({ mode: 'c', port: 'on', name: 7 });
    expect(error && wordsOf(error, undefined)).toBe(
      'mode: must be "a" or "b"; port: must be a number, or "off"; name: must be a quoted string',
    );
  });

  it('shows the beginning of a value, and nothing that a terminal obeys', () => {
    expect(shortly('x'.repeat(58))).toBe(`"${'x'.repeat(58)}"`);
    expect(shortly('x'.repeat(59))).toBe(`"${'x'.repeat(59)}… (61 characters)`);
    expect(shortly('a\u001b[2Jb\u009b1\u202ec\u200d')).toBe('"a\\u001b[2Jb\\u009b1\\u202ec\\u200d"');
    expect([shortly(undefined), shortly({ a: [1] }), shortly(null)]).toEqual(['undefined', '{"a":[1]}', 'null']);
  });
});
