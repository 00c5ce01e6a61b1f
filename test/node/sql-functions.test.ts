// The functions that osquery adds to SQLite: each with what it gives, NULL for NULL, and a mistake told in words.
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, it } from 'vitest';
import { addFunctions } from '../../node/adapters/sql-functions.ts';

const db = new DatabaseSync(':memory:');
addFunctions(db);
afterAll(() => db.close());
const of = (expression: string): unknown => Object.values(db.prepare(`select ${expression} as x`).get() ?? {})[0];

it.each<[string, unknown]>([
  ["inet_aton('1.2.3.4')", 16_909_060],
  ["inet_aton('255.255.255.255')", 4_294_967_295],
  ["inet_aton('::1')", null],
  ["inet_aton('1.2.3')", null],
  ["md5('a')", '0cc175b9c0f1b6a831c399e269772661'],
  ["sha1('a')", '86f7e437faa5a7fce15d1ddcb9eaeaea377667b8'],
  ["sha256('a')", 'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb'],
  ['md5(5)', 'e4da3b7fbbce2345d7772b0674a318d5'],
  ["to_base64('é')", 'w6k='],
  ["from_base64('w6k=')", 'é'],
  ["conditional_to_base64('plain')", 'plain'],
  ["conditional_to_base64('é')", 'w6k='],
  ["split('a,b;c', ',;', 2)", 'c'],
  ["split(' a ,, b ', ',', 1)", 'b'],
  ["split('a,b', ',', 2)", null],
  ["regex_match('web-12', '([a-z]+)-([0-9]+)', 0)", 'web-12'],
  ["regex_match('web-12', '([a-z]+)-([0-9]+)', 2)", '12'],
  ["regex_match('web', '[0-9]', 0)", null],
  ["regex_split('a1b22c', '[0-9]+', 2)", 'c'],
  ["in_cidr_block('10.0.0.0/8', '10.255.0.1')", 1],
  ["in_cidr_block('10.0.0.0/8', '11.0.0.1')", 0],
  ["in_cidr_block('10.0.0.1/32', '10.0.0.1')", 1],
  ["in_cidr_block('0.0.0.0/0', '10.0.0.1')", 1],
  ["in_cidr_block('fe80::/10', 'fe80::1')", 1],
  ["in_cidr_block('fe80::1/128', 'fe80::2')", 0],
  ["in_cidr_block('10.0.0.0/8', 'fe80::1')", 0],
  ["in_cidr_block('fe80::/10', '10.0.0.1')", 0],
  ...['md5(null)', "split(null, ',', 0)", "split('a', null, 0)", "split('a', ',', null)"].map((one): [string, unknown] => [
    one,
    null,
  ]),
  ...["in_cidr_block(null, '10.0.0.1')", "in_cidr_block('10.0.0.0/8', null)"].map((one): [string, unknown] => [one, null]),
])('%s is %j', (expression, value) => {
  expect(of(expression)).toBe(value);
});

describe('a mistake', () => {
  it.each([
    ["split('a', '', 0)", 'split needs separators: a string of one or more characters'],
    ["regex_match('a', '(', 0)", 'the pattern "(": '],
    ...['10.0.0.0/33', '10.0.0.0', '10.0.0.0/x', 'x/8', 'fe80::/129', '10.0.0.0/1234'].map((block) => [
      `in_cidr_block('${block}', '10.0.0.1')`,
      `in_cidr_block needs a block such as 10.0.0.0/8, not "${block}"`,
    ]),
    ["in_cidr_block('10.0.0.0/8', 'x')", 'in_cidr_block needs an address, not "x"'],
  ] as [string, string][])('%s says what it should be', (expression, message) => {
    expect(() => of(expression)).toThrow(message);
  });
});
