// Services are not the agent: they run as users of their own, and the actuator takes no requests from what it has started.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ActuatorClient } from '../../node/action/adapters/actuator-client.ts';
import type { ServiceSpec } from '../../node/ports/actuator.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { buildSanitized, TestActuator } from '../support/actuator.ts';
import { eventually } from '../support/clock.ts';
import { Rival } from '../support/rival.ts';

const ROOT = process.getuid?.() === 0;
const OWN = userInfo().username;
const [FIRST_USER, LAST_USER] = [61_184, 65_519];
const REFUSED = 3;
const LONG_MS = 60_000;
const WHO = 'id -u; id -g; id -G; grep NoNewPrivs /proc/self/status';
const cleanups: (() => unknown)[] = [];
let rival: Rival;
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
beforeAll(() => {
  buildSanitized();
  rival = new Rival();
});
afterAll(() => rival.close());

async function make(services: readonly ServiceSpec[], policy = ''): Promise<{ test: TestActuator; client: ActuatorClient }> {
  const test = new TestActuator();
  cleanups.push(() => test.stop());
  await test.start({ policy });
  chmodSync(test.directory, 0o755); // what keeps others out is the actuator's own
  return { test, client: await test.client(services) };
}

const sh = (name: string, script: string, more: Partial<ServiceSpec> = {}): ServiceSpec => ({
  name,
  command: ['sh', '-c', script],
  ...more,
});

const linesOf = (test: TestActuator, name: string, count: number): Promise<string[]> =>
  eventually(`what ${name} says`, () => {
    const lines = readFileSync(join(test.state, 'services', `${name}.log`), 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    return lines.length >= count ? lines : undefined;
  });

describe.skipIf(!ROOT)('a service without a user', () => {
  it('runs as one of its own, of no group else and without new privileges, the same at each start; so do its checks', async () => {
    const check = { kind: 'exec', command: ['sh', '-c', WHO] } as const;
    const services = [sh('one', `${WHO}; exec sleep 600`, { check }), sh('two', `${WHO}; exec sleep 600`)];
    const { test, client } = await make(services);
    for (const { name } of services) expect(await client.bringUp(name)).toEqual({ ok: true });
    const [one = [], two = []] = [await linesOf(test, 'one', 4), await linesOf(test, 'two', 4)];
    for (const [uid, gid, groups, privileges] of [one, two]) {
      expect(Number(uid)).toBeGreaterThanOrEqual(FIRST_USER);
      expect(Number(uid)).toBeLessThanOrEqual(LAST_USER);
      expect([gid, groups, privileges]).toEqual([uid, uid, 'NoNewPrivs:\t1']);
    }
    expect(one[0]).not.toBe(two[0]);
    expect(await client.checkService('one', 5_000)).toBe('open');
    await client.close();
    await test.kill('SIGTERM');
    await test.start();
    const again = await test.client([sh('zero', 'true'), ...services.toReversed()]); // whatever else is declared, and in which order
    await again.bringUp('one');
    expect((await linesOf(test, 'one', 8))[4]).toBe(one[0]);
  });

  it('reads nothing of the actuator’s, and does not reach its socket', async () => {
    const { test, client } = await make([]);
    const own = ['term', 'sock', 'actuator.log', 'services/spy.log', 'services/users', 'archive', 'changes'];
    const script = `${own.map((name) => `cat ${join(test.state, name)}/. ${join(test.state, name)}`).join('; ')}; ${rival.program} hello ${test.socket}; echo done`;
    const spying = await test.client([sh('spy', `(${script}) 2>&1 | grep -v denied | grep -v 'Not a directory'`)]);
    await client.close();
    await spying.bringUp('spy');
    expect(await linesOf(test, 'spy', 1)).toEqual(['done']);
  });

  it('is the agent’s where it is told to be, but where the policy denies that', async () => {
    const services = [sh('mine', `${WHO}; exec sleep 600`, { user: OWN })];
    const { test, client } = await make(services);
    expect(await client.bringUp('mine')).toEqual({ ok: true });
    expect((await linesOf(test, 'mine', 4))[0]).toBe(String(process.getuid?.()));
    const denied = await make(services, `deny user ${OWN}\n`);
    expect(await denied.client.bringUp('mine')).toMatchObject({ ok: false, code: 'refused' });
  });
});

describe.skipIf(!ROOT)('a separate user', () => {
  /** As the actuator chooses it: FNV-1a of the name. */
  const chosen = (name: string): number => {
    const hash = [...name].reduce((mixed, letter) => Math.imul(mixed ^ letter.charCodeAt(0), 16_777_619) >>> 0, 2_166_136_261);
    return FIRST_USER + (hash % (LAST_USER - FIRST_USER + 1));
  };
  const kept = (test: TestActuator, users: readonly (readonly [string, number])[]): void => {
    mkdirSync(join(test.state, 'services'), { recursive: true, mode: 0o700 });
    chmodSync(test.state, 0o700);
    writeFileSync(join(test.state, 'services', 'users'), encodeCbor(users));
  };
  const idle = [sh('one', 'id -u; exec sleep 600')];

  it('is not one that somebody has, and no service runs as one that somebody has got since', async () => {
    const test = new TestActuator();
    cleanups.push(() => test.stop());
    const accounts = join(test.directory, 'passwd');
    const taken = chosen('one');
    writeFileSync(accounts, `${readFileSync('/etc/passwd', 'utf8')}taken:x:${taken}:${taken}::/:/bin/false\n`);
    const script = `mount --bind ${accounts} /etc/passwd && exec "$@"`;
    const under = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'];
    await test.start({ under });
    const client = await test.client(idle);
    expect(await client.bringUp('one')).toEqual({ ok: true });
    expect(await linesOf(test, 'one', 1)).toEqual([String(taken + 1)]);
    await client.close();
    await test.kill('SIGTERM');
    kept(test, [['one', taken]]);
    await test.start({ under });
    const again = await test.client(idle);
    const message = `one: its user id ${taken} belongs to another account by now: declare a user for it`;
    expect(await again.bringUp('one')).toMatchObject({ ok: false, code: 'refused', message });
  });

  it('stays its own when all of them are given, and a record that names another is not believed', async () => {
    const test = new TestActuator();
    cleanups.push(() => test.stop());
    const count = LAST_USER - FIRST_USER + 1;
    const others = Array.from({ length: count - 1 }, (_, nth) => [`other-${nth}`, FIRST_USER + 1 + nth] as const);
    kept(test, [...others, ['one', FIRST_USER]]);
    await test.start();
    const client = await test.client(idle);
    expect(await client.bringUp('one')).toEqual({ ok: true });
    expect(await linesOf(test, 'one', 1)).toEqual([String(FIRST_USER)]);
    await client.close();
    await test.kill('SIGTERM');
    kept(test, [['one', 0]]);
    await test.start();
    const again = await test.client(idle);
    await again.bringUp('one');
    expect((await linesOf(test, 'one', 2))[1]).toBe(String(chosen('one')));
  });

  it('is told of at the start, with what it cannot do and what to do about it', async () => {
    const test = new TestActuator();
    cleanups.push(() => test.stop());
    await test.start();
    const inner = join(test.directory, 'inner'); // of a directory that only the agent may enter
    mkdirSync(inner);
    const services = [
      sh('lost', 'true', { directory: inner }),
      sh('web', 'true', { port: 80 }),
      sh('mine', 'true', { user: OWN, port: 80 }),
    ];
    const told: string[] = [];
    const log = (level: string, text: string): void => void told.push(`${level} ${text}`);
    const client = await ActuatorClient.open({ socket: test.socket, own: undefined, logs: test.state, services, log });
    cleanups.push(() => client.close());
    const remedy = 'set `user` for a service that needs more (docs/CONFIG.md, "Who a service runs as")';
    const free = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
    const port = `warn web: its separate user cannot bind \`port\` 80, as it is below ${free}: ${remedy}`;
    const users = `info services without \`user\` run as separate users, with no files: lost, web; ${remedy}`;
    expect(told).toEqual([users, ...(free > 80 ? [port] : [])]);
    const message = `${inner}: Permission denied (as its own user ${chosen('lost')}: let that user in, or give it a \`user\`)`;
    expect(await client.bringUp('lost')).toMatchObject({ ok: false, message });
  });
});

describe('what the actuator has started', () => {
  const hello = (test: TestActuator, ...more: string[]): string => [rival.program, 'hello', test.socket, ...more].join(' ');
  const answers = async (test: TestActuator, name: string, count: number): Promise<Set<string>> =>
    new Set(await linesOf(test, name, count));

  it('cannot take it over, though it runs as the agent’s user: near, and as an orphan of another session', async () => {
    const { test } = await make([]);
    const client = await test.client([sh('rival', `${hello(test)}; ${hello(test, 'away')}; exec sleep 600`, { user: OWN })]);
    await client.bringUp('rival');
    expect(await answers(test, 'rival', 2)).toEqual(new Set([`near answered ${REFUSED}`, `away answered ${REFUSED}`]));
    expect(await client.bringUp('rival')).toEqual({ ok: true }); // its agent's term is the last
    expect(test.log()).toContain(
      'this process was started by the actuator, which takes no requests from its own services and programs',
    );
  });

  it('cannot after the actuator was killed, and another one has it', async () => {
    const { test } = await make([]);
    const script = `trap 'exit 0' TERM; while :; do ${hello(test)} 2>/dev/null; sleep 0.1; done`;
    const client = await test.client([sh('rival', script, { user: OWN })]);
    await client.bringUp('rival');
    const before = (await linesOf(test, 'rival', 1)).length;
    await test.kill();
    await test.start();
    expect(await answers(test, 'rival', before + 5)).toEqual(new Set([`near answered ${REFUSED}`]));
  });

  it('cannot as a spawned program, or as a check', async () => {
    const { test } = await make([], `allow program ${rival.program}\n`);
    const command = [rival.program, 'hello', test.socket];
    const check = { kind: 'exec', command: ['sh', '-c', `${hello(test)} | grep -q 'answered ${REFUSED}'`] } as const;
    const client = await test.client([{ name: 'idle', command: ['sleep', '600'], user: OWN, check }]);
    await client.bringUp('idle');
    expect(await client.checkService('idle', 5_000)).toBe('open');
    await client.arm('try', LONG_MS, [{ do: ['spawn', OWN, command, 5_000], undo: undefined }]);
    expect(await client.apply('try', 0)).toEqual({ ok: true });
    expect(await linesOf(test, 'spawn.try-0', 1)).toEqual([`near answered ${REFUSED}`]);
  });
});

describe.skipIf(!ROOT)('an agent that was taken over and declares others each time', () => {
  const ROUNDS = 5;
  const [MAX_SERVICES, SPEC_BYTES] = [256, 131_072];
  const declared = (name: string, argument = ''): unknown[] => [name, ['true', argument], '', [], '', [], 0, 0, 'TERM', 1, 4_096];

  it('takes neither memory nor ids for good from the actuator, and what ran keeps its id', async () => {
    const { test } = await make([]);
    const raw = await test.raw();
    await raw.ask('hello');
    expect(await raw.ask('declare', [declared('ran')])).toMatchObject({ code: 0 });
    expect(await raw.ask('up', 'ran')).toMatchObject({ code: 0 });
    const users = (): Buffer => readFileSync(join(test.state, 'services', 'users'));
    const before = users();
    for (let round = 0; round < ROUNDS; round++) {
      const specs = Array.from({ length: MAX_SERVICES }, (_, nth) => declared(`r${round}-${nth}`));
      expect(await raw.ask('declare', specs)).toMatchObject({ code: 0 });
    }
    await raw.ask('services');
    const known = decodeCbor(raw.frames.at(-1)?.[4] as Uint8Array) as unknown[];
    expect(known.length).toBeLessThanOrEqual(MAX_SERVICES + 1);
    expect(users()).toEqual(before);
    const large = await raw.ask('declare', [declared('large', 'x'.repeat(SPEC_BYTES))]);
    expect(large).toMatchObject({ code: REFUSED, message: expect.stringContaining('at most 131072') });
  });
});
