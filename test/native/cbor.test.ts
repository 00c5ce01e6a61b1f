// CBOR as the actuator reads it: each wrong body is told apart, and none is taken. What it writes is read back by the tests of all else.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildPlain, type RawClient, soon, TestActuator } from '../support/actuator.ts';

const test = new TestActuator(true);
let raw: RawClient;
beforeAll(async () => {
  buildPlain();
  await test.start({ policy: '' });
});
afterEach(() => raw.socket.destroy());
afterAll(() => test.stop());

const text = (value: string): number[] => [0x60 + value.length, ...Buffer.from(value)];
/** A request for a try of what `argument` holds. */
const request = (...argument: number[]): number[] => [0x84, 1, 1, ...text('try'), ...argument];
const repeated = (count: number, ...bytes: number[]): number[] => Array.from({ length: count }, () => bytes).flat();
const SHORT = 'it ends too soon';
const LONG_FORM = 'a number that is not in its shortest form';
const LONG_STRING = 'a string longer than the frame';
const INDEFINITE = 'a length that is not definite';
const OTHER_KIND = 'a kind of item that is not used here';

describe('a body', () => {
  it.each<[string, number[], string]>([
    ['without its last item', request(), SHORT],
    ['whose number has no bytes', request(0x18), SHORT],
    ['whose number has a byte too few', request(0x19, 1), SHORT],
    ['with 23 in two bytes', request(0x18, 23), LONG_FORM],
    ['with 255 in three bytes', request(0x19, 0, 255), LONG_FORM],
    ['with 65,535 in five bytes', request(0x1a, 0, 0, 255, 255), LONG_FORM],
    ['with 2³² - 1 in nine bytes', request(0x1b, 0, 0, 0, 0, 255, 255, 255, 255), LONG_FORM],
    ['with 2⁶³', request(0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0), 'a number beyond 63 bits'],
    ['with -2⁶³ - 1', request(0x3b, 0x80, 0, 0, 0, 0, 0, 0, 0), 'a number beyond 63 bits'],
    ['with a text that goes on', request(0x62, 0x41), LONG_STRING],
    ['with bytes that go on', request(0x41), LONG_STRING],
    ['with a text that holds a NUL', request(0x62, 0x41, 0), 'a text with a NUL'],
    ['with a list that goes on', request(0x81), 'an array longer than the frame'],
    ['with a list without an end', request(0x9f, 1, 0xff), INDEFINITE],
    ['with a text without an end', request(0x7f, 0xff), INDEFINITE],
    ['with a length of a reserved kind', request(0x1c), INDEFINITE],
    ['with a map', request(0xa0), OTHER_KIND],
    ['with a tag', request(0xc0, 1), OTHER_KIND],
    ['with a simple value', request(0xf6), OTHER_KIND],
    ['that something follows', request(0x80, 0), 'something follows it'],
    ['nested too deep', request(...repeated(5, 0x81), 0x80), 'nested too deep'],
    ['of too many items', request(0x99, ...[8_188 >> 8, 8_188 & 255], ...repeated(8_188, 0)), 'too many items'],
  ])('%s is no request', async (_what, body, why) => {
    raw = await test.raw();
    raw.send(Buffer.from(body));
    await soon('the connection to be closed', () => raw.closed);
    expect(test.log().trimEnd().split('\n').at(-1)?.slice(21)).toBe(
      `connection of pid ${process.pid} closed: not a request: ${why}`,
    );
  });

  it.each<[string, number[]]>([
    ['23 and 24', [0x82, 23, 0x18, 24]],
    ['255 and 256', [0x82, 0x18, 255, 0x19, 1, 0]],
    ['65,535 and 65,536', [0x82, 0x19, 255, 255, 0x1a, 0, 1, 0, 0]],
    ['2³² - 1 and 2³²', [0x82, 0x1a, 255, 255, 255, 255, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0]],
    ['2⁶³ - 1 and -2⁶³', [0x82, 0x1b, 127, ...repeated(7, 255), 0x3b, 127, ...repeated(7, 255)]],
    ['lists within lists', [...repeated(4, 0x81), 0x80]],
    ['8,192 items', [0x99, 8_187 >> 8, 8_187 & 255, ...repeated(8_187, 0)]],
    ['bytes with a NUL, and a text at the end', [0x82, 0x41, 0, 0x61, 0x41]],
  ])('may hold %s', async (_what, argument) => {
    raw = await test.raw();
    raw.send(Buffer.from(request(...argument)));
    await soon('the answer', () => raw.frames.length === 1);
    const [step, many] = ['a step is a primitive and its undo', 'a change has 1 to 64 steps'];
    expect(raw.frames[0]?.slice(0, 4)).toEqual([1, 1, 3, argument.length > 64 ? many : step]);
  });

  it.each([
    [-1, '-1'],
    [-24, '-24'],
    [-25, '-25'],
    [2 ** 32, '4294967296'],
    [-(2 ** 40) - 1, '-1099511627777'],
  ])('with %i is read as that', async (number, shown) => {
    raw = await test.raw();
    await raw.ask('none', number);
    expect(test.log()).toContain(` none ${shown}: no such operation`);
  });
});
