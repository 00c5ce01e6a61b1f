// The life of a change at the actuator: armed, applied step by step, confirmed or undone, what its record on disk holds, and what an
// actuator after it makes of that.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { buildPlain, type RawClient, soon, TestActuator } from '../support/actuator.ts';

const [OK, NOT_FOUND, REFUSED] = [0, 1, 3];
const LONG_MS = 60_000;
const NOTHING = [['spawn.end'], []];
const BOOT = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
const [ARMED, CONFIRMED, UNDONE, FAILED] = [0, 1, 2, 3];

let test: TestActuator;
let data: string;
let agent: RawClient;
beforeAll(buildPlain);
beforeEach(() => {
  test = new TestActuator(true);
  data = join(test.directory, 'data');
  mkdirSync(data);
});
afterEach(() => test.stop());

async function begin(): Promise<void> {
  await test.start({ policy: `allow path ${data}\n` });
  agent = await test.agent();
}
async function again(): Promise<void> {
  await test.kill();
  await begin();
}
const ask = async (operation: string, ...parameters: unknown[]): Promise<[number, string]> => {
  const { code, message } = await agent.ask(operation, ...parameters);
  return [code, message];
};
const state = async (id: string) => (await agent.ask('state', id)).value;
const fine = [OK, ''];
const at = (name: string): string => join(data, name);
const write = (name: string, text: string): unknown[] => ['file.replace', at(name), new TextEncoder().encode(text), -1];
const replaced = (name: string, text: string): unknown[] => [write(name, text), ['file.restore', at(name)]];
const changes = (): string => join(test.state, 'changes');
/** Of a service that takes 150 ms to stop. */
const SLOW = ['slow', ['sh', '-c', 'trap "" TERM; while :; do sleep 1; done'], '', [], '', [], 0, 0, 'TERM', 150, 1 << 20];

describe('a change', () => {
  it.each<[unknown, unknown, unknown, string]>([
    ['', LONG_MS, [NOTHING], 'a change needs a plain name of at most 48 characters'],
    ['-x', LONG_MS, [NOTHING], 'a change needs a plain name of at most 48 characters'],
    ['a.b', LONG_MS, [NOTHING], 'a change needs a plain name of at most 48 characters'],
    ['x'.repeat(49), LONG_MS, [NOTHING], 'a change needs a plain name of at most 48 characters'],
    ['a', 0, [NOTHING], 'a: a deadline 0 ms away: must be 1 to 600,000 ms'],
    ['a', 600_001, [NOTHING], 'a: a deadline 600001 ms away: must be 1 to 600,000 ms'],
    ['a', LONG_MS, [], 'a change has 1 to 64 steps'],
    ['a', LONG_MS, [[['spawn.end']]], 'a step is a primitive and its undo'],
  ])('%s is not armed for %i ms to do %j', async (id, ms, steps, message) => {
    await begin();
    expect(await ask('arm', id, ms, steps)).toEqual([REFUSED, message]);
    expect(readdirSync(changes())).toEqual([]);
    expect(await ask('arm', 'x'.repeat(48), 600_000, [NOTHING])).toEqual(fine);
    expect(await ask('arm', 'x'.repeat(48), 600_000, [NOTHING])).toEqual([
      REFUSED,
      `${'x'.repeat(48)}: replayed; a change is armed once`,
    ]);
  });

  it('is applied step by step, confirmed once, and over then', async () => {
    await begin();
    expect(await ask('arm', 'a', LONG_MS, [replaced('f', 'one'), replaced('g', 'two')])).toEqual(fine);
    expect(await state('a')).toEqual(['armed', 0, '']);
    expect(await ask('apply', 'a', 1)).toEqual([REFUSED, 'a: replayed; step 0 is next']);
    expect(await ask('apply', 'a', 0)).toEqual(fine);
    expect(await ask('apply', 'a', 0)).toEqual([REFUSED, 'a: replayed; step 1 is next']);
    expect(await state('a')).toEqual(['armed', 1, '']);
    expect(await ask('apply', 'a', 1)).toEqual(fine);
    expect(await ask('apply', 'a', 2)).toEqual([REFUSED, 'a: replayed; step 2 is next']);
    expect(await ask('confirm', 'a')).toEqual(fine);
    expect(await ask('confirm', 'a')).toEqual(fine);
    expect(await state('a')).toEqual(['confirmed', 2, 'confirmed']);
    expect(await ask('undo', 'a', 'x')).toEqual([REFUSED, 'a: confirmed']);
    expect(await ask('apply', 'a', 2)).toEqual([REFUSED, 'a: no such change is armed']);
    expect([readFileSync(at('f'), 'utf8'), readFileSync(at('g'), 'utf8'), readdirSync(data).length]).toEqual(['one', 'two', 2]);
  });

  it('is undone once, for its reason, the last step first, and over then', async () => {
    await begin();
    writeFileSync(at('f'), 'before');
    await ask('arm', 'a', LONG_MS, [replaced('f', 'one'), replaced('f', 'two'), replaced('g', 'never')]);
    await ask('apply', 'a', 0);
    await ask('apply', 'a', 1);
    expect(await Promise.all([ask('undo', 'a', 'the test'), ask('undo', 'a', 'another')])).toEqual([fine, fine]);
    expect(readFileSync(at('f'), 'utf8')).toBe('before');
    expect(await state('a')).toEqual(['undone', 2, 'the test']);
    expect(await ask('undo', 'a', 'again')).toEqual(fine);
    expect(await ask('confirm', 'a')).toEqual([REFUSED, 'a: the test']);
    expect(await ask('apply', 'a', 2)).toEqual([REFUSED, 'a: no such change is armed']);
    expect(test.log().match(/a undone: the test/g)?.length).toBe(1);
    expect(readdirSync(data)).toEqual(['f']);
  });

  it('that was never armed is not known', async () => {
    await begin();
    expect(await ask('apply', 'a', 0)).toEqual([REFUSED, 'a: no such change is armed']);
    expect(await ask('confirm', 'a')).toEqual([NOT_FOUND, 'a: no such change']);
    expect(await ask('undo', 'a', 'x')).toEqual([NOT_FOUND, 'a: no such change']);
    expect(await state('a')).toEqual(['unknown', 0, '']);
  });

  it('is busy while a step of it is under way, and undone after that', async () => {
    await begin();
    await ask('declare', [SLOW]);
    await ask('up', 'slow');
    await ask('arm', 'a', LONG_MS, [
      [
        ['service.stop', 'slow'],
        ['service.start', 'slow'],
      ],
      NOTHING,
    ]);
    const applied = ask('apply', 'a', 0);
    expect(await ask('apply', 'a', 1)).toEqual([REFUSED, 'a: busy']);
    expect(await ask('confirm', 'a')).toEqual([REFUSED, 'a: busy']);
    const undone = ask('undo', 'a', 'the test');
    expect(await ask('confirm', 'a')).toEqual([REFUSED, 'a: the test']);
    expect([await applied, await undone]).toEqual([fine, fine]);
    expect(await state('a')).toEqual(['undone', 1, 'the test']);
    expect(((await agent.ask('services')).value as unknown[][])[0]?.slice(0, 2)).toEqual(['slow', 'running']);
  });

  it('is undone when its deadline has passed', async () => {
    await begin();
    await ask('arm', 'left', 60, [replaced('f', 'one')]);
    agent.ask('apply', 'left', 0).catch(() => undefined);
    await soon('the undo', async () => ((await state('left')) as string[])[0] === 'undone');
    expect((await state('left')) as unknown[]).toEqual(['undone', expect.any(Number), 'its deadline has passed']);
    expect(readdirSync(data)).toEqual([]);
    expect(test.log()).toContain('left undone: its deadline has passed');
  });

  it('is one of at most 64 that are open, over a restart of the actuator too', async () => {
    await begin();
    const arm = (nth: number) => ask('arm', `open-${nth}`, LONG_MS, [NOTHING]);
    for (let nth = 0; nth < 60; nth++) expect(await arm(nth)).toEqual(fine);
    expect(await arm(60)).toEqual([REFUSED, '60 changes were armed within a minute: try again later']);
    await again();
    for (let nth = 60; nth < 64; nth++) expect(await arm(nth)).toEqual(fine);
    expect(await arm(64)).toEqual([REFUSED, '64 changes are open already']);
    expect(await ask('undo', 'open-3', 'x')).toEqual(fine);
    expect(await arm(64)).toEqual(fine);
  });
});

type Body = [number, string, string, number, number, [number, number], string, unknown];
function record(body: unknown): Buffer {
  const bytes = encodeCbor(body);
  return Buffer.from(encodeCbor([crc32(bytes), bytes]));
}
function read(id: string): Body {
  const [checksum, body] = decodeCbor(readFileSync(join(changes(), id))) as [number, Uint8Array];
  expect(checksum).toBe(crc32(body));
  return decodeCbor(body) as Body;
}
function lay(...bodies: Body[]): void {
  mkdirSync(changes(), { recursive: true });
  for (const body of bodies) writeFileSync(join(changes(), body[1]), record(body));
}

describe('where the record of a change cannot be written', () => {
  const wrong = [4, 'a.tmp: Is a directory'];
  const block = (): void => mkdirSync(join(changes(), 'a.tmp'));
  const free = (): void => rmdirSync(join(changes(), 'a.tmp'));

  it('it is not armed, no step of it is done, and it is not confirmed; once it can be, all goes on', async () => {
    await begin();
    block();
    expect(await ask('arm', 'a', LONG_MS, [replaced('f', 'one')])).toEqual(wrong);
    expect(await state('a')).toEqual(['unknown', 0, '']);
    free();
    expect(await ask('arm', 'a', LONG_MS, [replaced('f', 'one')])).toEqual(fine);
    block();
    expect(await ask('apply', 'a', 0)).toEqual(wrong);
    expect([await state('a'), existsSync(at('f'))]).toEqual([['armed', 0, ''], false]);
    free();
    expect(await ask('apply', 'a', 0)).toEqual(fine);
    block();
    expect(await ask('confirm', 'a')).toEqual(wrong);
    expect([await state('a'), readdirSync(data).sort()]).toEqual([
      ['armed', 1, ''],
      ['.kalos', 'f'],
    ]);
    free();
    expect(await ask('confirm', 'a')).toEqual(fine);
    expect(await state('a')).toEqual(['confirmed', 1, 'confirmed']);
    expect(readdirSync(data)).toEqual(['f']);
  });

  it('it is undone all the same, which is told', async () => {
    await begin();
    await ask('arm', 'a', LONG_MS, [replaced('f', 'one')]);
    await ask('apply', 'a', 0);
    block();
    expect(await ask('undo', 'a', 'the test')).toEqual(fine);
    expect([await state('a'), readdirSync(data)]).toEqual([['undone', 1, 'the test'], []]);
    expect(test.log()).toContain('a: a.tmp: Is a directory\n');
    expect(read('a')[5]).toEqual([ARMED, 1]);
  });
});

describe('an agent whose term cannot be written', () => {
  it('is one all the same, which is told', async () => {
    await test.start({ policy: '' });
    mkdirSync(join(test.state, 'term.tmp'));
    const raw = await test.raw();
    expect(((await raw.ask('hello')).value as unknown[])[0]).toBe(1);
    expect(test.log()).toContain('the term is not recorded: term.tmp: Is a directory\n');
    expect(await raw.ask('beat', 0)).toMatchObject({ code: OK });
  });
});

describe('the record of a change', () => {
  it('holds all that another actuator needs, at each step', async () => {
    await begin();
    await ask('arm', 'first', LONG_MS, [NOTHING]);
    await ask('arm', 'second', 600_000, [replaced('f', 'one')]);
    const uptimeMs = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1_000;
    const body = read('second');
    expect(body).toEqual([1, 'second', BOOT, expect.any(Number), 2, [ARMED, 0], '', [replaced('f', 'one')]]);
    expect(Math.abs(body[3] - uptimeMs - 600_000)).toBeLessThan(10_000);
    expect(read('first')[4]).toBe(1);
    await ask('apply', 'second', 0);
    expect(read('second').slice(5, 7)).toEqual([[ARMED, 1], '']);
    await ask('confirm', 'second');
    expect(read('second').slice(5, 7)).toEqual([[CONFIRMED, 1], 'confirmed']);
    await ask('undo', 'first', 'the test');
    expect(read('first').slice(5, 7)).toEqual([[UNDONE, 0], 'the test']);
    await again();
    expect(await state('second')).toEqual(['confirmed', 1, 'confirmed']);
    expect(await state('first')).toEqual(['undone', 0, 'the test']);
    await ask('arm', 'third', LONG_MS, [NOTHING]);
    expect(read('third')[4]).toBe(3);
  });

  it('leads the next actuator to what is still open: it goes on with it, or undoes it at its deadline', async () => {
    writeFileSync(at('f'), 'before');
    await begin();
    await ask('arm', 'open', LONG_MS, [replaced('f', 'one'), replaced('g', 'two')]);
    await ask('apply', 'open', 0);
    await again();
    expect(await state('open')).toEqual(['armed', 1, '']);
    expect(await ask('apply', 'open', 1)).toEqual(fine);
    await test.kill();
    const body = read('open');
    body[3] = 1; // long ago
    lay(body);
    await begin();
    await soon('the undo', async () => ((await state('open')) as string[])[0] === 'undone');
    expect(readdirSync(data)).toEqual(['f']);
    expect(readFileSync(at('f'), 'utf8')).toBe('before');
  });

  it('of a change that was confirmed has what was kept for its undo let go of', async () => {
    writeFileSync(at('f'), 'before');
    await begin();
    await ask('arm', 'a', LONG_MS, [replaced('f', 'one'), replaced('f', 'never')]);
    await ask('apply', 'a', 0);
    await test.kill();
    const body = read('a');
    body[5] = [CONFIRMED, 1];
    lay(body);
    await begin();
    await soon('it to be let go of', () => !existsSync(at('.kalos')));
    expect(readFileSync(join(test.state, 'archive', 'a-0'), 'utf8')).toBe('before');
  });

  it('of a boot before has undone what outlives it, and nothing else', async () => {
    await begin();
    writeFileSync(at('f'), 'before');
    await ask('declare', [SLOW]);
    await ask('arm', 'a', LONG_MS, [replaced('f', 'one'), [['spawn.end'], ['service.start', 'slow']]]);
    await ask('apply', 'a', 0);
    await ask('apply', 'a', 1);
    await test.kill();
    const body = read('a');
    body[2] = 'another';
    lay(body);
    await begin();
    await soon('the undo', async () => ((await state('a')) as string[])[0] !== 'armed');
    expect(await state('a')).toEqual(['undone', 2, 'after a reboot']);
    expect(((await agent.ask('services')).value as unknown[][])[0]?.slice(0, 2)).toEqual(['slow', 'stopped']);
    expect(readFileSync(at('f'), 'utf8')).toBe('before');
  });

  it.each<[string, (body: Body) => unknown]>([
    ['of another version', ([, ...rest]) => [2, ...rest]],
    ['of another name', ([version, , ...rest]) => [version, 'other', ...rest]],
    ['with a field too few', (body) => body.slice(0, 7)],
    ['with a field too many', (body) => [...body, 0]],
    ['without its steps', (body) => [...body.slice(0, 7), 'x']],
    ['without its state', (body) => [...body.slice(0, 5), [0], ...body.slice(6)]],
    ['that is no list', () => 'x'],
  ])('%s is kept aside and told, never guessed at', async (_what, spoil) => {
    const body: Body = [1, 'a', BOOT, 1, 1, [ARMED, 0], '', [NOTHING]];
    lay(body);
    writeFileSync(join(changes(), 'a'), record(spoil(body)));
    writeFileSync(join(changes(), 'b.tmp'), 'cut short');
    writeFileSync(join(changes(), '.tmp'), 'no name');
    writeFileSync(join(changes(), 'corrupt:c'), 'of before');
    await begin();
    expect(readdirSync(changes()).sort()).toEqual(['.tmp', 'corrupt:a', 'corrupt:c']);
    expect(await state('a')).toEqual(['unknown', 0, '']);
    expect(test.log()).toContain('the record of a is corrupt: kept as corrupt:a; its change may have to be undone by hand');
    expect(test.log()).not.toContain('record of corrupt:c');
  });

  it('is kept of the last 576 changes, the open ones always', async () => {
    const bodies = Array.from({ length: 580 }, (_, nth): Body => {
      const done: Body = [1, `old-${nth}`, BOOT, 1, nth + 10, [nth % 2 === 0 ? UNDONE : FAILED, 0], 'x', [NOTHING]];
      return nth === 0 ? [1, 'old-0', BOOT, 1e12, 0, [ARMED, 0], '', [NOTHING]] : done;
    });
    lay(...bodies);
    await begin();
    expect(await state('old-3')).toEqual(['failed', 0, 'x']);
    expect(await ask('arm', 'fresh', LONG_MS, [NOTHING])).toEqual(fine);
    expect(read('fresh')[4]).toBe(590);
    const names = readdirSync(changes());
    expect(names.length).toBe(576);
    expect(['old-0', 'old-1', 'old-5', 'old-6', 'fresh'].filter((name) => names.includes(name))).toEqual([
      'old-0',
      'old-6',
      'fresh',
    ]);
    expect(await state('old-5')).toEqual(['unknown', 0, '']);
  });
});
