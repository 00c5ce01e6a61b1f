// The client of the actuator, against one that the test plays over a socket: what is sent to it, and what is made of its answers.
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ActuatorClient, type ActuatorOptions } from '../../node/action/adapters/actuator-client.ts';
import type { ServiceSpec, Step } from '../../node/ports/actuator.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { eventually } from '../support/clock.ts';

const [OK, NOT_FOUND, GONE, REFUSED, FAILED, UNKNOWN] = [0, 1, 2, 3, 4, 5];
type Reply = [code: number, message: string, value?: unknown];
const CAPABILITIES = ['intent', 'beat', 'own-users', 'sysctl', 'leave'];
const framed = (body: Uint8Array): Buffer => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
};

let directory: string;
let server: Server | undefined;
const clients: ActuatorClient[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kalos-client-'));
});
afterEach(async () => {
  vi.useRealTimers();
  for (const client of clients.splice(0)) await client.leave();
  server?.close();
  rmSync(directory, { recursive: true });
});

const WEB: ServiceSpec = { name: 'web', command: ['web', '-x'] };
const wire = (given: Partial<Record<string, unknown>> = {}): unknown[] => {
  const all = { name: 'web', state: 'running', pid: 9, ticks: 77, code: -1, signal: 0, starts: 1, since: 5, whose: 0, ...given };
  return Object.values(all);
};

async function played(services: readonly ServiceSpec[] = [WEB], given: Partial<ActuatorOptions> = {}) {
  const its = {
    asked: [] as unknown[][],
    sockets: [] as Socket[],
    told: [] as string[],
    replies: {
      hello: [OK, '', [1, 'boot', 0, CAPABILITIES]],
      services: [OK, '', []],
    } as Record<string, Reply | undefined>,
    silent: new Set<string>(),
  };
  const socket = join(directory, 'socket');
  const listen = () =>
    new Promise<void>((resolve) => {
      server = createServer((one) => {
        its.sockets.push(one);
        let rest = Buffer.alloc(0);
        one.on('error', () => undefined);
        one.on('data', (chunk) => {
          rest = Buffer.concat([rest, chunk]);
          while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
            const [version, id, operation, ...parameters] = decodeCbor(rest.subarray(4, 4 + rest.readUInt32BE(0))) as unknown[];
            rest = rest.subarray(4 + rest.readUInt32BE(0));
            expect(version).toBe(1);
            its.asked.push([operation, ...parameters]);
            const [code, message, value] = its.replies[String(operation)] ?? [OK, ''];
            const bytes = value === undefined ? new Uint8Array() : encodeCbor(value);
            if (!its.silent.has(String(operation))) one.write(framed(encodeCbor([1, id, code, message, bytes])));
            if (operation === 'shutdown') one.end();
          }
        });
      }).listen(socket, resolve);
    });
  await listen();
  const open = async () => {
    const log = (level: string, text: string) => void its.told.push(`${level}: ${text}`);
    const client = await ActuatorClient.open({ socket, own: undefined, logs: '/logs', services, log, ...given });
    clients.push(client);
    return client;
  };
  const event = (sample: unknown[], mayHaveEnded = 1): void =>
    void its.sockets.at(-1)?.write(framed(encodeCbor([1, 0, 'service', sample, mayHaveEnded])));
  const of = (operation: string): unknown[][] => its.asked.filter(([one]) => one === operation).map(([, ...rest]) => rest);
  return { its, open, event, of, listen };
}

describe('a connection', () => {
  it('begins with a greeting, what is declared, and how the services are', async () => {
    const { its, open } = await played();
    its.replies.services = [OK, '', [wire({ whose: 2 })]];
    const client = await open();
    expect(its.asked.map(([operation]) => operation)).toEqual(['hello', 'declare', 'beat', 'services']);
    expect(client.capabilities).toEqual(['sysctl', 'leave']);
    expect(client.services()).toMatchObject([
      { name: 'web', state: 'running', pid: 9, startTicks: 77, starts: 1, sinceMs: 5, onPurpose: false, byPolicy: true },
    ]);
    expect(client.services()[0]).toMatchObject({ exitCode: undefined, exitSignal: undefined });
    expect(client.silentMs()).toBe(0);
    expect(its.told).toEqual([
      'info: services without `user` run as separate users, with no files: web; set `user` for a service that needs more (docs/CONFIG.md, "Who a service runs as")',
    ]);
  });

  it('with one before 0.4.0 has no heartbeat, and says as whom services run', async () => {
    const { its, open, of } = await played([WEB, { name: 'db', command: ['db'], user: 'db' }]);
    its.replies.hello = [OK, '', [1, 'boot', 0, ['sysctl']]];
    const client = await open();
    expect(its.asked.map(([operation]) => operation)).toEqual(['hello', 'declare', 'services']);
    expect([client.silentMs(), await client.stalls(), of('stalls')]).toEqual([undefined, [], []]);
    expect(its.told).toEqual([
      'info: services without `user` run with the agent’s rights, because the actuator does not run as root or is older than 0.4.0: web',
    ]);
    await client.confirm('a');
    expect(of('confirm')).toEqual([['a']]);
  });

  it('is refused with the reason', async () => {
    const { its, open } = await played();
    its.replies.hello = [REFUSED, 'another agent has it'];
    await expect(open()).rejects.toThrow('the actuator rejects this agent: another agent has it');
    its.replies.hello = [OK, '', [1, 'boot', 0, []]];
    its.replies.declare = [REFUSED, 'web: no such user'];
    await expect(open()).rejects.toThrow('the actuator rejects the services: web: no such user');
  });

  it.each([
    ['hello', [REFUSED, 'another agent has it'], 'another agent has it'],
    ['declare', [REFUSED, 'web: no such user'], 'no such user'],
    ['services', [OK, '', ['no sample']], 'expected tuple'],
  ] as const)('whose %s fails leaves nothing behind: no look at units, no heartbeat, no connection', async (what, reply, why) => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const { its, open } = await played([WEB, { name: 'db', command: [], unit: 'db.service' }], { systemctl: '/bin/true' });
    its.replies[what] = reply as unknown as Reply;
    await expect(open()).rejects.toThrow(why);
    expect(vi.getTimerCount()).toBe(0);
    await eventually('the connection to end', () => its.sockets.every((socket) => socket.destroyed));
    expect([its.sockets.length, its.told.filter((text) => text.startsWith('warn'))]).toEqual([1, []]);
  });

  it('that is lost is taken up again, and what was asked meanwhile has an unknown outcome', async () => {
    const { its, open } = await played();
    const client = await open();
    const back = new Promise<void>((resolve) => client.onBack(resolve));
    its.silent.add('up');
    const outcome = client.bringUp('web');
    await eventually('it to be asked', () => its.asked.some(([operation]) => operation === 'up'));
    its.sockets.at(-1)?.destroy();
    expect(await outcome).toEqual({ ok: false, code: 'unknown', message: 'the actuator does not answer' });
    expect(await client.bringUp('web')).toMatchObject({ ok: false, code: 'unknown' });
    await back;
    expect(its.told.slice(1)).toEqual(['warn: lost the actuator: reconnecting', 'info: the actuator answers again']);
    its.silent.clear();
    expect(await client.bringUp('web')).toEqual({ ok: true });
    expect(its.asked.filter(([operation]) => operation === 'declare')).toHaveLength(2);
  });

  it('takes frames in pieces and together', async () => {
    const { its, open } = await played();
    const client = await open();
    const exits: string[] = [];
    const ended = new Promise<void>((resolve) =>
      client.onExit((name) => {
        if (exits.push(name) === 2) resolve();
      }),
    );
    const states = ['running', 'exited', 'running', 'exited'];
    const bytes = Buffer.concat(states.map((state) => framed(encodeCbor([1, 0, 'service', wire({ state }), 1]))));
    its.silent.add('beat');
    for (const [start, end] of [
      [0, 3],
      [3, 20],
      [20, bytes.length - 1],
      [bytes.length - 1, bytes.length],
    ] as const) {
      its.sockets[0]?.write(bytes.subarray(start, end));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await ended;
    expect(exits).toEqual(['web', 'web']);
  });

  it('ends with a frame that is too long', async () => {
    const { its, open } = await played();
    const client = await open();
    const back = new Promise<void>((resolve) => client.onBack(resolve));
    its.sockets[0]?.write(Buffer.from([0, 0x40, 0, 1]));
    await back;
    expect(its.sockets).toHaveLength(2);
  });
});

describe('what is declared', () => {
  it('is as the actuator takes it, without units', async () => {
    const { of, open } = await played([
      WEB,
      {
        name: 'db',
        command: ['db'],
        directory: '/srv',
        environment: { A: '1', B: 'two=2' },
        user: 'dbuser',
        limits: { files: 10, processes: 20, memoryBytes: 4_096, cpus: 0.25 },
        stop: { signal: 'INT', graceMs: 7 },
        logBytes: 99,
        failover: true,
      },
    ]);
    await open();
    expect(of('declare')).toEqual([
      [
        [
          ['web', ['web', '-x'], '', [], '', [], 0, 0, 'TERM', 5_000, 10 * 1024 * 1024],
          [
            ...['db', ['db'], '/srv', ['A=1', 'B=two=2'], 'dbuser'],
            [
              ['nofile', 10],
              ['nproc', 20],
            ],
            ...[250, 4_096, 'INT', 7, 99, 1],
          ],
        ],
      ],
    ]);
  });

  it('has a log of its own, where the actuator keeps it, and is checked as it is declared', async () => {
    const { its, of, open } = await played([WEB, { name: 'task', command: ['t'], check: { kind: 'exec', command: ['ok'] } }]);
    const client = await open();
    expect([client.logOf('web'), client.logOf('other')]).toEqual(['/logs/web.log', undefined]);
    expect([await client.checkService('web', 10), await client.checkService('other', 10)]).toEqual(['undeclared', 'undeclared']);
    const checks = [];
    for (const code of [OK, FAILED, GONE, UNKNOWN, REFUSED, NOT_FOUND]) {
      its.replies.check = [code, ''];
      checks.push(await client.checkService('task', 10));
    }
    expect(checks).toEqual(['open', 'failed', 'silent', 'unknown', 'unknown', 'unknown']);
    expect(of('check')[0]).toEqual(['task', ['ok'], 5_000]);
  });
});

describe('a service', () => {
  it('that ended is told of once, if it may have ended just now', async () => {
    const { open, event, its } = await played();
    its.replies.services = [OK, '', [wire()]];
    const client = await open();
    const exits: string[] = [];
    client.onExit((name) => exits.push(name));
    const seen = async (sample: unknown[], may = 1) => {
      event(sample, may);
      await client.release('web'); // its answer comes after the event
      const { state, exitCode, exitSignal, pid, startTicks, onPurpose } = client.services()[0] ?? {};
      return [state, exitCode, exitSignal, pid, startTicks, onPurpose];
    };
    expect(await seen(wire({ state: 'exited', pid: 0, code: 3, whose: 1 }))).toEqual([
      ...['exited', 3, undefined, undefined, undefined, true],
    ]);
    expect(exits).toEqual(['web']);
    await seen(wire({ state: 'exited', pid: 0, code: 3 }));
    await seen(wire({ state: 'stopped', pid: 0 }));
    await seen(wire({ state: 'exited', pid: 0 }));
    expect(exits).toEqual(['web']);
    await seen(wire());
    expect((await seen(wire({ state: 'exited', pid: 0, signal: 9 }), 0)).slice(0, 3)).toEqual(['exited', undefined, 'SIGKILL']);
    expect(exits).toEqual(['web']);
    expect((await seen(wire({ state: 'exited', signal: 200 })))[2]).toBe('SIG200');
  });

  it('that is none of the declared is a program, of which the last 256 are known', async () => {
    const { open, event } = await played();
    const client = await open();
    for (let n = 0; n <= 256; n++) event(wire({ name: `spawn.${n}`, state: 'exited', pid: 0, code: n }));
    await client.release('web');
    expect(await client.program('0')).toBeUndefined();
    expect(await client.program('1')).toMatchObject({ name: 'spawn.1', state: 'exited', exitCode: 1 });
    expect(await client.program('256')).toMatchObject({ exitCode: 256 });
    expect(client.services()).toHaveLength(1);
  });
});

describe('what is asked of it', () => {
  const steps: Step[] = [
    { do: ['unit', 'start', 'a'], undo: ['unit', 'stop', 'a'] },
    { do: ['spawn.end'], undo: undefined },
  ];
  const wired = [
    [
      ['unit', 'start', 'a'],
      ['unit', 'stop', 'a'],
    ],
    [['spawn.end'], []],
  ];

  it('is sent as it takes it', async () => {
    const { open, its } = await played();
    const client = await open();
    its.asked.length = 0;
    await client.bringUp('web');
    await client.hold('web', { monotonicMs: 10.9, wallMs: 20.9 }, 7);
    await client.release('web');
    await client.check(steps);
    await client.arm('id', 1_000, steps);
    await client.arm('id', 1_000, [], Uint8Array.of(1));
    await client.apply('id', 1);
    await client.confirm('id');
    await client.confirm('id', false);
    await client.undo('id', 'why');
    await client.read(['sysctl.read', 'vm.x']);
    expect(its.asked.filter(([operation]) => operation !== 'beat')).toEqual([
      ['up', 'web'],
      ['hold', 'web', 10, 20, 7],
      ['release', 'web'],
      ['try', wired],
      ['arm', 'id', 1_000, wired],
      ['arm', 'id', 1_000, [], Uint8Array.of(1)],
      ['apply', 'id', 1],
      ['confirm', 'id', 1],
      ['confirm', 'id', 0],
      ['undo', 'id', 'why'],
      ['read', ['sysctl.read', 'vm.x']],
    ]);
  });

  it('has no leave for one that nobody judges for', async () => {
    const { open, its, of } = await played();
    its.replies.hello = [OK, '', [1, 'boot', 0, ['intent']]];
    const client = await open();
    await client.arm('id', 1_000, [], Uint8Array.of(1));
    expect(of('arm')).toEqual([['id', 1_000, []]]);
  });

  it.each([
    [NOT_FOUND, 'not-found'],
    [GONE, 'gone'],
    [REFUSED, 'refused'],
    [FAILED, 'failed'],
    [UNKNOWN, 'unknown'],
  ])('fails by code %i, %s, with its words', async (code, name) => {
    const { open, its } = await played();
    its.replies.up = [code, 'why'];
    its.replies.state = [code, 'why'];
    its.replies.stalls = [code, 'why'];
    const client = await open();
    expect(await client.bringUp('web')).toEqual({ ok: false, code: name, message: 'why' });
    await expect(client.change('id')).rejects.toThrow('why');
    expect(await client.stalls()).toEqual([]);
  });

  it('answers with a value, or with words alone', async () => {
    const { open, its } = await played();
    const client = await open();
    its.replies.read = [OK, 'words'];
    expect(await client.read(['sysctl.read', 'vm.x'])).toEqual({ ok: true, value: 'words' });
    its.replies.read = [OK, '', { a: 1 }];
    expect(await client.read(['sysctl.read', 'vm.x'])).toEqual({ ok: true, value: { a: 1 } });
    its.replies.state = [OK, '', ['armed', 2, 'because']];
    expect(await client.change('id')).toEqual({ state: 'armed', begun: 2, reason: 'because' });
    its.replies.stalls = [
      OK,
      '',
      [
        [1, 2, 1, 'a'],
        [3, 4, 0, 'b'],
      ],
    ];
    expect(await client.stalls()).toEqual([
      { atMs: 1, lastedMs: 2, ended: true, words: 'a' },
      { atMs: 3, lastedMs: 4, ended: false, words: 'b' },
    ]);
  });
});

describe('the end', () => {
  it.each([
    ['close', 1, true],
    ['close', 0, false],
    ['leave', 1, false],
    ['giveUp', 1, false],
  ] as const)('by %s of one that is owned (%i) ends it: %s', async (how, owned, ends) => {
    const { open, its, of } = await played();
    its.replies.hello = [OK, '', [1, 'boot', owned, CAPABILITIES]];
    const client = await open();
    await client[how]();
    expect(of('shutdown')).toHaveLength(ends ? 1 : 0);
    expect(its.told.filter((text) => text.startsWith('warn'))).toEqual([]);
    expect(await client.bringUp('web')).toMatchObject({ code: 'unknown' });
    await client[how](); // again: nothing to end
  });
});

describe('a service that is a unit', () => {
  const stop: Step[] = [{ do: ['unit', 'stop', 'web.service'], undo: undefined }];
  /** With a stand-in for systemctl that prints what it is made to. */
  async function unit() {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const [systemctl, file] = [join(directory, 'systemctl'), join(directory, 'shown')];
    writeFileSync(systemctl, `#!/bin/sh\nexec cat ${file}\n`);
    chmodSync(systemctl, 0o755);
    const shows = (state: string, restarts = 0): void =>
      writeFileSync(file, `Id=web.service\nActiveState=${state}\nNRestarts=${restarts}\nInvocationID=run\nExecMainStatus=9\n`);
    shows('active');
    const made = await played([{ name: 'web', command: [], unit: 'web.service' }], { systemctl });
    const client = await made.open();
    const exits: string[] = [];
    client.onExit((name) => exits.push(name));
    const seen = async () => {
      await client.apply('none', 0); // looks again
      const { state, onPurpose, byPolicy } = client.services()[0] ?? {};
      return [state, onPurpose, byPolicy];
    };
    return { ...made, client, shows, exits, seen };
  }

  it('is seen through systemctl, and not declared to the actuator', async () => {
    const { client, shows, exits, of, seen, its } = await unit();
    expect([of('declare'), client.logOf('web'), its.told]).toEqual([[[[]]], undefined, []]);
    expect(client.services()).toMatchObject([{ name: 'web', state: 'running', starts: 1, exitSignal: undefined }]);
    shows('active', 2);
    await seen();
    expect(exits).toEqual(['web', 'web']);
    shows('failed', 2);
    expect(await seen()).toEqual(['exited', false, false]);
    expect(client.services()[0]?.exitSignal).toBe('SIGKILL');
    expect(exits).toHaveLength(3);
    expect(vi.getTimerCount()).toBe(2);
    await client.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is stopped by whom the change was, from its arming on, and by nobody once that is undone', async () => {
    const { client, shows, seen } = await unit();
    shows('inactive');
    expect(await seen()).toEqual(['stopped', false, false]);
    await client.arm('a', 60_000, stop);
    expect(await seen()).toEqual(['stopped', true, false]);
    await client.undo('a', 'why');
    expect(await seen()).toEqual(['stopped', false, false]);
    await client.arm('b', 60_000, stop);
    await client.confirm('b', false);
    expect(await seen()).toEqual(['stopped', false, true]);
  });
});

describe('where no actuator answers', () => {
  it.each([
    [undefined, []],
    [
      { program: '/nonexistent/actuator', arguments: [] },
      ['warn: the actuator cannot be started: spawn /nonexistent/actuator ENOENT'],
    ],
  ])('for five seconds the client says so, and has tried once to start its own: %j', async (own, told) => {
    const { its, open } = await played([], { own, socket: join(directory, 'run/none') });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    let failure = '';
    const opened = open().catch((error: Error) => {
      failure = error.message;
    });
    while (failure === '') {
      vi.advanceTimersByTime(500);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await opened;
    expect(failure).toBe(`no actuator answers on ${join(directory, 'run/none')}`);
    expect(performance.now()).toBeGreaterThan(5_000);
    expect(its.told).toEqual(told);
    expect(existsSync(join(directory, 'run/errors'))).toBe(own !== undefined);
  });
});
