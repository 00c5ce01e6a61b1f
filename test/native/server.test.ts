// The actuator's socket: frames whole and in pieces, who may ask for what, what its log keeps of it, and who is let go when there are too
// many.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { buildPlain, type RawClient, soon, TestActuator } from '../support/actuator.ts';

const [OK, NOT_FOUND, GONE, REFUSED, FAILED] = [0, 1, 2, 3, 4];
const MAX_FRAME_BYTES = 1 << 20;
const NO_OPERATION = 'no such operation, or not with these arguments';
const STEPS = [[['spawn.end'], []]];

const test = new TestActuator(true);
const data = join(test.directory, 'data');
const raws: RawClient[] = [];
beforeAll(async () => {
  buildPlain();
  mkdirSync(data);
  await test.start({ policy: `allow path ${data}\nallow process node\n` });
});
afterEach(() => {
  for (const raw of raws.splice(0)) raw.socket.destroy();
});
afterAll(() => test.stop());

async function open(): Promise<RawClient> {
  const raw = await test.raw();
  raws.push(raw);
  return raw;
}
async function agent(): Promise<RawClient> {
  const raw = await open();
  await raw.ask('hello');
  return raw;
}
const service = (name: string, script: string): unknown[] => [
  name,
  ['sh', '-c', script],
  '',
  [],
  '',
  [],
  0,
  0,
  'TERM',
  200,
  1 << 20,
];
/** The last line of the log, without its time. */
const lastLine = (): string => {
  const line = test.log().trimEnd().split('\n').at(-1) ?? '';
  expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ /);
  return line.slice(21);
};

describe('a frame', () => {
  it('is taken in as many pieces as it comes, and several at once', async () => {
    const raw = await open();
    const frame = (id: number): Buffer => {
      const body = encodeCbor([1, id, 'services']);
      return Buffer.from([0, 0, 0, body.length, ...body]);
    };
    for (const byte of frame(7)) {
      raw.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await soon('the answer', () => raw.frames.length === 1);
    raw.socket.write(Buffer.concat([frame(8), frame(9), frame(10).subarray(0, 5)]));
    await soon('the answers', () => raw.frames.length === 3);
    raw.socket.write(frame(10).subarray(5));
    await soon('the last one', () => raw.frames.length === 4);
    const none = encodeCbor([]);
    expect(raw.frames).toEqual([7, 8, 9, 10].map((id) => [1, id, OK, '', none]));
  });

  it.each([1, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1])('is answered under its id: %i', async (id) => {
    const raw = await open();
    raw.send(encodeCbor([1, id, 'x']));
    await soon('the answer', () => raw.frames.length === 1);
    expect(raw.frames[0]).toEqual([1, id, REFUSED, NO_OPERATION, new Uint8Array()]);
  });

  it('is 1 byte to 1 MiB long', async () => {
    const most = await open();
    const text = 'x'.repeat(MAX_FRAME_BYTES - 8);
    const body = encodeCbor([1, 1, text]);
    expect(body.length).toBe(MAX_FRAME_BYTES);
    most.send(body);
    await soon('the answer', () => most.frames.length === 1);
    expect(most.frames[0]?.slice(1, 3)).toEqual([1, REFUSED]);
    for (const [length, said] of [
      [0, '0'],
      [MAX_FRAME_BYTES + 1, '1048577'],
    ] as const) {
      const raw = await open();
      raw.send(new Uint8Array(), length);
      await soon('the connection to be closed', () => raw.closed);
      expect(lastLine()).toBe(`connection of pid ${process.pid} closed: a frame of ${said} bytes; at most 1 MiB`);
    }
  });

  it('is a request: version 1, an id of 1 to 2³² - 1, and an operation', async () => {
    const request = 'a request is [version, id, operation, argument…]';
    for (const [body, why] of [
      [encodeCbor(1), request],
      [encodeCbor([1, 1]), request],
      [encodeCbor(['1', 1, 'x']), request],
      [encodeCbor([1, 'x', 'x']), request],
      [encodeCbor([1, 1, 1]), request],
      [encodeCbor([1, 0, 'x']), request],
      [encodeCbor([1, 2 ** 32, 'x']), request],
      [encodeCbor([0, 1, 'x']), 'this actuator speaks version 1'],
      [encodeCbor([2, 1, 'x']), 'this actuator speaks version 1'],
    ] as const) {
      const raw = await open();
      raw.send(body);
      await soon('the connection to be closed', () => raw.closed);
      expect(lastLine()).toBe(`connection of pid ${process.pid} closed: not a request: ${why}`);
    }
  });

  it('that nobody reads the answers of ends its connection', async () => {
    writeFileSync(join(data, 'large'), 'x'.repeat(1 << 19));
    const raw = await open();
    raw.socket.pause();
    const id = encodeCbor([1, 1, 'read', ['file.read', join(data, 'large')]]);
    for (let nth = 0; nth < 16; nth++) raw.send(id);
    await soon('it to be told', () => lastLine().endsWith('closed: it does not read its answers'));
    expect((await (await open()).ask('services')).code).toBe(OK);
  });
});

describe('an operation', () => {
  it.each<[string, unknown[]]>([
    ['declare', [[]]],
    ['up', ['one']],
    ['hold', ['one', 1, 1, 1]],
    ['release', ['one']],
    ['arm', ['a', 1, STEPS]],
    ['arm', ['a', 1, STEPS, new Uint8Array([1])]],
    ['apply', ['a', 0]],
    ['confirm', ['a']],
    ['confirm', ['a', 1]],
    ['undo', ['a', 'x']],
    ['beat', [0]],
    ['shutdown', []],
  ])('%s%j is the agent’s alone, and that of the newest', async (operation, parameters) => {
    const [raw, newer] = [await open(), await open()];
    expect(await raw.ask(operation, ...parameters)).toEqual({ code: REFUSED, message: 'say hello first', value: undefined });
    const [term] = (await raw.ask('hello')).value as [number];
    await newer.ask('hello');
    const message = `stale term ${term}: term ${term + 1} has begun`;
    expect(await raw.ask(operation, ...parameters)).toEqual({ code: REFUSED, message, value: undefined });
  });

  it.each<[string, unknown[]]>([
    ['hello', [1]],
    ['beat', []],
    ['beat', ['x']],
    ['shutdown', [1]],
    ['declare', []],
    ['declare', ['x']],
    ['up', []],
    ['up', [1]],
    ['up', ['a', 'b']],
    ['hold', ['a', 1, 1]],
    ['hold', [1, 1, 1, 1]],
    ['release', [[]]],
    ['arm', ['a', 1]],
    ['arm', ['a', 1, STEPS, 'x']],
    ['apply', ['a']],
    ['apply', ['a', '0']],
    ['confirm', []],
    ['confirm', ['a', 'b']],
    ['undo', ['a']],
    ['undo', ['a', 1]],
    ['stalls', [1]],
    ['state', []],
    ['state', [1]],
    ['try', []],
    ['try', ['x']],
    ['services', [1]],
    ['read', []],
    ['read', ['x']],
    ['check', ['a', []]],
    ['check', [1, [], 1]],
    ['run', []],
  ])('is none: %s%j', async (operation, parameters) => {
    const raw = await agent();
    expect(await raw.ask(operation, ...parameters)).toEqual({ code: REFUSED, message: NO_OPERATION, value: undefined });
  });

  it('that changes something is a line in the log, what is read is none', async () => {
    const raw = await open();
    const [term] = (await raw.ask('hello')).value as [number];
    expect(test.log()).toContain(`agent pid ${process.pid} uid ${process.getuid?.()} has term ${term}`);
    const line = (rest: string): string => `pid ${process.pid} term ${term} ${rest}`;
    await raw.ask('declare', [service('one', 'true'), service('two', 'true')]);
    expect(lastLine()).toBe(line('declare 2 services: ok'));
    await raw.ask('apply', 'none', 3);
    expect(lastLine()).toBe(line('apply none 3: none: no such change is armed'));
    const before = test.log();
    await raw.ask('beat', 0);
    await raw.ask('stalls');
    await raw.ask('read', ['process.read', 1]);
    await raw.ask('try', []);
    await raw.ask('state', 'none');
    await raw.ask('services');
    await raw.ask('check', 'none', [], 0);
    expect(test.log()).toBe(before);
    await raw.ask('x\n\u007f\u001f ~', -5, [], ['a', new Uint8Array(3), [1, 'é']]);
    expect(lastLine()).toBe(line(`x??? ~ -5 [] [a 3 bytes [1 é]]: ${NO_OPERATION}`));
    await raw.ask('y'.repeat(401), 'z'.repeat(401));
    expect(lastLine().length).toBe(400);
    await raw.ask('x', ['a'.repeat(400), 'b'.repeat(200), 'c', 'd']);
    expect(lastLine()).toBe(line(`x [${'a'.repeat(400)} ${'b'.repeat(200)} … …]: ${NO_OPERATION}`).slice(0, 400));
  });

  it('ends an actuator that is the agent’s own, in order', async () => {
    const own = new TestActuator(true);
    try {
      await own.start({ arguments: ['--owned'] });
      const raw = await own.raw();
      const hello = (await raw.ask('hello')).value as unknown[];
      expect(hello.slice(0, 3)).toEqual([1, readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(), 1]);
      expect(readFileSync(join(own.state, 'term'), 'utf8')).toBe('1');
      const ended = new Promise((resolve) => own.process?.once('exit', resolve));
      expect(await raw.ask('shutdown')).toMatchObject({ code: OK });
      expect(await ended).toBe(0);
      const words = own.log().trimEnd().split('\n');
      expect(words.slice(-3).map((line) => line.slice(21))).toEqual(
        ['shutting down', `pid ${process.pid} term 1 shutdown: ok`, 'ended'].sort(
          (one, other) => words.findIndex((line) => line.endsWith(one)) - words.findIndex((line) => line.endsWith(other)),
        ),
      );
      expect(existsSync(own.socket)).toBe(false);
      await own.start({});
      expect(((await (await own.raw()).ask('hello')).value as unknown[])[0]).toBe(2);
    } finally {
      await own.stop();
    }
  });
});

describe('an agent', () => {
  it('is not to be signalled as long as its connection stands, whatever the policy says', async () => {
    const asker = await open();
    const read = await asker.ask('read', ['process.read', process.pid]);
    const [pid, ticks] = read.value as [number, number];
    const steps = [[['process.signal', pid, ticks, 'CONT'], []]];
    const raw = await agent();
    expect(await asker.ask('try', steps)).toMatchObject({ code: REFUSED, message: `pid ${pid}: it is protected` });
    raw.socket.destroy();
    await soon('it to be gone', async () => (await asker.ask('try', steps)).code === OK);
  });

  it('is told of its services, and it alone', async () => {
    const [raw, other] = [await agent(), await open()];
    await raw.ask('declare', [service('brief', 'exit 3')]);
    await raw.ask('up', 'brief');
    await soon('its end', () => raw.frames.some((frame) => frame[1] === 0 && frame[4] === 1));
    const told = raw.frames.filter(([, id]) => id === 0);
    expect(told.at(-1)).toEqual([1, 0, 'service', ['brief', 'exited', 0, 0, 3, 0, 1, expect.any(Number), 0], 1]);
    expect(told[0]).toEqual([
      1,
      0,
      'service',
      ['brief', 'running', expect.any(Number), expect.any(Number), -1, 0, 1, expect.any(Number), 0],
      0,
    ]);
    await other.ask('services');
    expect(other.frames.length).toBe(1);
  });

  it('is not let go where there are too many connections: the one that was silent longest is', async () => {
    const raw = await agent();
    const others: RawClient[] = [];
    while (others.length < 15) others.push(await open());
    for (const one of others) await one.ask('services'); // all are there
    await new Promise((resolve) => setTimeout(resolve, 2));
    await others[0]?.ask('services');
    const last = await open();
    await soon('one to be let go', () => others[1]?.closed);
    expect([raw, last, ...others].filter(({ closed }) => closed)).toEqual([others[1]]);
    expect(await last.ask('services')).toMatchObject({ code: OK });
    expect(await raw.ask('beat', 0)).toMatchObject({ code: OK });
    expect(test.log()).not.toContain('too many connections');
  });
});

describe('a health check', () => {
  it.each<[unknown[], number, string]>([
    [['one', [], 1_000], REFUSED, 'a check needs a declared service, a command and 1 to 30,000 ms'],
    [['none', ['true'], 1_000], REFUSED, 'a check needs a declared service, a command and 1 to 30,000 ms'],
    [['one', ['true'], 0], REFUSED, 'a check needs a declared service, a command and 1 to 30,000 ms'],
    [['one', ['true'], 30_001], REFUSED, 'a check needs a declared service, a command and 1 to 30,000 ms'],
    [['one', ['true'], 30_000], OK, ''],
    [['one', ['sh', '-c', 'echo fine'], 1_000], OK, 'fine\n'],
    [['one', ['sh', '-c', 'echo bad >&2; exit 1'], 1_000], FAILED, 'bad\n'],
    [['one', ['sh', '-c', 'exit 3'], 1_000], FAILED, 'it ended with status 3'],
    [['one', ['sh', '-c', 'kill -15 $$'], 1_000], FAILED, 'it ended with status 143'],
    [['one', ['/no/such/program'], 1_000], FAILED, '/no/such/program: No such file or directory'],
    [['one', ['sleep', '600'], 60], GONE, 'it did not end in time, and was ended'],
    [['one', ['sh', '-c', `printf '%05000d' 1`], 1_000], OK, '0'.repeat(4_096)],
  ])('of %j is answered with %i: %s', async (what, code, message) => {
    const raw = await agent();
    await raw.ask('declare', [service('one', 'true')]);
    expect(await raw.ask('check', ...what)).toEqual({ code, message, value: undefined });
  });

  it('is not begun beyond 16 at once', async () => {
    const raw = await agent();
    await raw.ask('declare', [service('one', 'true')]);
    const checks = Array.from({ length: 17 }, () => raw.ask('check', 'one', ['sleep', '0.2'], 5_000));
    const codes = (await Promise.all(checks)).map(({ code, message }) => `${code} ${message}`);
    expect(codes).toEqual([...Array.from({ length: 16 }, () => '0 '), '5 16 helper programs run already: try again later']);
  });
});

describe('what was not declared', () => {
  it('is not found', async () => {
    const raw = await agent();
    for (const [operation, ...parameters] of [
      ['up', 'none'],
      ['release', 'none'],
      ['hold', 'none', 1, 1, 1],
    ] as const) {
      const answer = await raw.ask(operation, ...parameters);
      expect([operation, answer.code]).toEqual([operation, NOT_FOUND]);
    }
    expect((await raw.ask('state', 'none')).value).toEqual(['unknown', 0, '']);
    expect(decodeCbor(raw.frames.at(-1)?.[4] as Uint8Array)).toEqual(['unknown', 0, '']);
  });
});
