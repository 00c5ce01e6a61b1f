// Services that one member at a time runs, as one member looks after its own: when it takes them, how it keeps them, and when it lets them go.
import { describe, expect, it } from 'vitest';
import type { Placement } from '../../consensus/decisions/placements.ts';
import type { Outcome } from '../../consensus/decisions/state.ts';
import { PlacedServices } from '../../node/coordination/placed-services.ts';
import type { Decisions } from '../../node/decisions/decisions.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { fakeMembers } from '../support/members.ts';
import { pass } from '../support/virtual.ts';

const WALL_MS = 1_700_000_000_000;
/** What the swarm's clock is ahead. */
const AHEAD_MS = 5_000;

type Placed = Pick<Placement, 'peer' | 'fence' | 'reason' | 'move'>;

function world(names: readonly string[] = ['db']) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler, () => WALL_MS);
  const placements = new Map<string, Placed>();
  const its = {
    /** Of what a random draw can give, in thousandths. */
    draw: 0,
    mayNotTake: undefined as string | undefined,
    mustGiveUp: undefined as string | undefined,
    sick: false,
    running: [] as string[],
    kept: async (held: readonly unknown[]): Promise<boolean[] | undefined> => held.map(() => true),
    hold: { ok: true } as { ok: boolean; message?: string },
    release: { ok: true } as { ok: boolean; message?: string },
    place: undefined as Outcome | undefined,
    reason: '',
    probes: [] as string[],
    port: undefined as number | undefined,
    open: 'open',
  };
  const log = {
    wishes: [] as [number, unknown, number][],
    kept: [] as [number, readonly unknown[], number][],
    held: [] as [string, unknown, number][],
    released: [] as [number, string][],
    noted: [] as string[],
    lines: [] as string[],
    caughtUp: [] as unknown[],
  };
  let fence = 0;
  const ports = {
    clock,
    random: { uint32: () => Math.floor((its.draw / 1_000) * 2 ** 32) },
    crypto: { self: 'self' },
    transport: {
      probePort: async (peer: string, port: number, withinMs: number) => {
        its.probes.push(`${peer} ${port} ${withinMs}`);
        return its.open;
      },
    },
    actuator: {
      services: () => names.map((name) => ({ name, state: its.running.includes(name) ? 'running' : 'stopped', port: its.port })),
      hold: async (name: string, until: unknown, under: number) => {
        log.held.push([name, until, under]);
        if (its.hold.ok && !its.running.includes(name)) its.running.push(name);
        return its.hold;
      },
      release: async (name: string) => {
        log.released.push([clock.monotonicMs(), name]);
        if (its.release.ok) its.running = its.running.filter((one) => one !== name);
        return its.release;
      },
    },
  } as unknown as Ports;
  const decisions = {
    state: { placementOf: (service: string) => placements.get(service) },
    wallMs: () => clock.wallMs() + AHEAD_MS,
    decide: async (wish: { kind: string; service: string }, withinMs: number): Promise<Outcome> => {
      log.wishes.push([clock.monotonicMs(), wish, withinMs]);
      if (wish.kind === 'place') {
        if (its.place !== undefined) return its.place;
        placements.set(wish.service, { peer: 'self', fence: ++fence, reason: its.reason, move: null });
      } else placements.set(wish.service, { peer: null, fence, reason: 'x', move: null });
      return { ok: true, index: 9 };
    },
    reads: { caughtUp: async (...asked: unknown[]) => void log.caughtUp.push(asked) },
    placements: {
      keep: (held: readonly unknown[], withinMs: number) => {
        log.kept.push([clock.monotonicMs(), held, withinMs]);
        return its.kept(held);
      },
    },
  } as unknown as Decisions;
  const placed = new PlacedServices(ports, decisions, fakeMembers(), names, {
    mayNotTake: () => its.mayNotTake,
    mustGiveUp: () => its.mustGiveUp,
    mayNotMove: () => undefined,
    isSick: () => its.sick,
    noted: async (service, text) => void log.noted.push(`${service} ${text}`),
    log: (level, text) => void log.lines.push(`${level} ${text}`),
    failed: (error) => {
      throw error;
    },
  });
  const takes = (): number[] => log.wishes.flatMap(([atMs, wish]) => ((wish as { kind: string }).kind === 'place' ? [atMs] : []));
  return { placed, its, log, placements, takes, clock, scheduler, pump: (ms: number) => pass(scheduler, ms) };
}

type World = ReturnType<typeof world>;

/** One that has the service since half a second. */
async function having(names?: readonly string[]): Promise<World> {
  const made = world(names);
  for (const name of names ?? ['db']) made.placements.set(name, { peer: 'self', fence: 4, reason: '', move: null });
  made.placed.start();
  await made.pump(500);
  return made;
}

describe('a service that nobody has', () => {
  it('is taken after two looks, put on record, and held from then on', async () => {
    const { placed, log, pump, takes } = world();
    placed.start();
    await pump(999);
    expect(log.wishes).toEqual([]);
    await pump(1);
    expect(log.wishes).toEqual([[1_000, { kind: 'place', service: 'db' }, 5_000]]);
    expect(log.caughtUp).toEqual([[9, 5_000]]);
    expect(log.noted).toEqual(['db placed here, fence 1']);
    expect(log.lines).toEqual(['info db is placed here, fence 1', 'info db runs here under fence 1']);
    expect(log.kept).toEqual([[1_000, [['db', 1]], 2_000]]);
    expect(log.held).toEqual([['db', { monotonicMs: 16_000, wallMs: WALL_MS + 16_000 }, 1]]);
    await pump(20_000);
    expect([takes(), placed.isHere('db'), placed.isHere('other')]).toEqual([[1_000], true, false]);
  });

  it.each<[string, Partial<World['its']>, number]>([
    ['at once', { draw: 0 }, 1_000],
    ['a moment later, drawn again by each', { draw: 999 }, 1_000],
    ['two seconds later by who is not well', { draw: 0, sick: true }, 2_500],
    ['still later then', { draw: 999, sick: true }, 3_000],
  ])('is taken %s', async (_title, given, atMs) => {
    const { placed, its, pump, takes } = world();
    Object.assign(its, given);
    placed.start();
    await pump(5_000);
    expect(takes()).toEqual([atMs]);
  });

  it('goes to who has fewer: each that is held already makes it wait', async () => {
    const { placed, its, placements, pump, takes } = await having(['db', 'web']);
    await pump(3_000);
    placements.set('web', { peer: null, fence: 5, reason: 'x', move: null });
    its.running = ['db'];
    its.draw = 600;
    await pump(1_000); // one is held: 240 ms and 400 ms, from the first look on
    expect(takes()).toEqual([]);
    await pump(500);
    expect(takes()).toEqual([5_000]);
    await placed.stop();
  });

  it('makes nobody wait who had one and has it no longer, though it only stopped it', async () => {
    const { its, placements, pump, takes } = await having();
    placements.set('db', { peer: 'other', fence: 5, reason: '', move: null });
    await pump(1_000); // 1 500: it is stopped
    placements.set('db', { peer: null, fence: 5, reason: 'x', move: null });
    its.draw = 600;
    await pump(1_000); // 240 ms from the first look on, and no 400 ms more
    expect(takes()).toEqual([2_500]);
  });

  it('is asked for again every two seconds where that is refused, and is not taken where another was first', async () => {
    const { placed, its, log, pump, takes, placements } = world();
    its.place = { ok: false, reason: 'x' };
    placed.start();
    await pump(6_000);
    expect([takes(), log.lines, log.caughtUp]).toEqual([[1_000, 3_000, 5_000], [], []]);
    its.place = { ok: true, index: 3 };
    await pump(2_000);
    placements.set('db', { peer: 'other', fence: 2, reason: '', move: null });
    await pump(5_000);
    expect([log.noted, log.kept, log.lines, takes().length]).toEqual([[], [], [], 4]);
    // Its turn to wait begins again.
    placements.set('db', { peer: null, fence: 2, reason: 'x', move: null });
    its.draw = 0;
    its.sick = true;
    await pump(2_499);
    expect(takes().length).toBe(4);
    await pump(1);
    expect(takes().length).toBe(5);
  });

  it('is not taken by who may not, nor after it has left; and why it came here is told', async () => {
    const { placed, its, log, pump, takes, scheduler } = world();
    its.mayNotTake = 'paused';
    placed.start();
    await pump(5_000);
    expect(takes()).toEqual([]);
    its.mayNotTake = undefined;
    its.reason = 'no heartbeat from beta';
    await pump(1_000);
    expect(log.noted).toEqual(['db placed here, fence 1: no heartbeat from beta']);
    expect(log.lines[0]).toBe('info db is placed here, fence 1: no heartbeat from beta');
    placed.leave();
    expect([scheduler.step(Number.POSITIVE_INFINITY), its.running]).toEqual([false, ['db']]);
  });

  it('is asked for once at a time, however long the swarm takes to decide', async () => {
    const { placed, its, pump, takes } = world();
    let decide: (outcome: Outcome) => void = () => undefined;
    its.place = new Promise<Outcome>((resolve) => {
      decide = resolve;
    }) as never;
    placed.start();
    await pump(10_000);
    expect(takes()).toEqual([1_000]);
    decide({ ok: false, reason: 'x' });
    await pump(1_000);
    expect(takes().length).toBe(2);
  });

  it('is nothing to look for where none is declared', () => {
    const { placed, scheduler } = world([]);
    placed.start();
    expect(scheduler.step(Number.POSITIVE_INFINITY)).toBe(false);
  });

  it('says what goes wrong with taking it', async () => {
    const { placed, its, log, pump, placements } = world();
    its.place = { ok: true, index: 3 };
    placements.set('db', { peer: null, fence: 2, reason: 'x', move: null });
    Object.defineProperty(its, 'place', {
      get: () => {
        throw new Error('the swarm has no leader');
      },
    });
    placed.start();
    await pump(1_000);
    expect(log.lines).toEqual(['warn db: the swarm has no leader']);
  });
});

describe('a service that is placed here', () => {
  it('is kept every three seconds, as of before it was asked', async () => {
    const { log, pump } = await having();
    expect(log.kept).toEqual([[500, [['db', 4]], 2_000]]);
    expect(log.held).toEqual([['db', { monotonicMs: 15_500, wallMs: WALL_MS + 15_500 }, 4]]);
    await pump(9_000);
    expect(log.kept.map(([atMs]) => atMs)).toEqual([500, 3_500, 6_500, 9_500]);
    expect(log.held.length).toBe(4);
    expect(log.lines).toEqual(['info db runs here under fence 4']);
  });

  it('is stopped six seconds before its time is over, once, where no coordinator hears of it', async () => {
    const { its, log, pump } = await having();
    its.kept = async () => Promise.reject(new Error('the swarm has no leader'));
    await pump(8_999);
    expect(log.released).toEqual([]);
    await pump(1);
    expect(log.released).toEqual([[9_500, 'db']]);
    const why = 'stopped here: lost contact with the leader';
    expect([log.noted, log.lines.at(-1)]).toEqual([[`db ${why}`], `warn db is ${why}`]);
    await pump(20_000);
    expect(log.released.length).toBe(1);
    // It is its still: it runs again once that is heard of.
    its.kept = async () => [true];
    await pump(3_000);
    expect(its.running).toEqual(['db']);
  });

  it.each<[string, boolean[] | undefined]>([
    ['that it has it no more', [false]],
    ['nothing', undefined],
  ])('is not held longer where the coordinator says %s', async (_title, answer) => {
    const { its, log, pump } = await having();
    its.kept = async () => answer;
    await pump(9_000);
    expect([log.held.length, log.released.length]).toEqual([1, 1]);
  });

  it('that the actuator does not hold is said', async () => {
    const made = world();
    made.placements.set('db', { peer: 'self', fence: 4, reason: '', move: null });
    made.its.hold = { ok: false, message: 'no such service' };
    made.placed.start();
    await made.pump(500);
    expect(made.log.lines).toEqual(['warn the actuator rejected the placement of db: no such service']);
  });

  it('is asked for one question at a time', async () => {
    const { its, log, pump } = await having();
    let answer: (kept: boolean[]) => void = () => undefined;
    its.kept = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    await pump(8_500);
    expect(log.kept.length).toBe(2);
    answer([true]);
    await pump(500);
    expect(log.kept.length).toBe(3);
  });

  it('is not held any more by an agent that has left, and by one that stops it only under another fence', async () => {
    const left = await having();
    const stops = await having();
    let answer: (kept: boolean[]) => void = () => undefined;
    left.its.kept = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    await left.pump(3_000);
    left.placed.leave();
    answer([true]);
    await left.pump(1_000);
    expect(left.log.held.length).toBe(1);
    stops.its.kept = left.its.kept;
    await stops.pump(3_000);
    stops.its.mustGiveUp = 'it is unfit';
    stops.its.release = new Promise(() => undefined) as never;
    await stops.pump(500);
    answer([true]);
    await stops.pump(3_000);
    expect([stops.log.released.length, stops.log.held.length]).toEqual([1, 1]);
  });

  it('is stopped where it has come to be another’s', async () => {
    const { its, log, placements, pump } = await having();
    placements.set('db', { peer: 'other', fence: 5, reason: '', move: null });
    await pump(500);
    expect(log.released).toEqual([[1_000, 'db']]);
    expect(log.noted).toEqual(['db stopped here: it is no longer placed here']);
    await pump(5_000);
    expect([log.released.length, its.running]).toEqual([1, []]);
  });

  it('that cannot be stopped is tried again, and that is said', async () => {
    const { its, log, placements, pump } = await having();
    its.release = { ok: false, message: 'it hangs' };
    placements.set('db', { peer: 'other', fence: 5, reason: '', move: null });
    await pump(1_000);
    const line = 'warn db: the service cannot be stopped: it hangs';
    expect([log.lines.slice(1), log.noted]).toEqual([[line, line], []]);
  });

  it.each<[string, (made: World) => void, string]>([
    [
      'it is to move',
      ({ placements }) => void placements.set('db', { peer: 'self', fence: 4, reason: '', move: 'a is short of memory' }),
      'a is short of memory',
    ],
    ['it must give up all', ({ its }) => void Object.assign(its, { mustGiveUp: 'm'.repeat(300) }), 'm'.repeat(300)],
  ])('is given up to others for five minutes where %s', async (_title, arrange, reason) => {
    const made = await having();
    made.its.mayNotTake = 'unfit';
    arrange(made);
    await made.pump(500);
    expect(made.log.released).toEqual([[1_000, 'db']]);
    const unfitUntilMs = WALL_MS + 1_000 + AHEAD_MS + 300_000;
    expect(made.log.wishes).toEqual([
      [1_000, { kind: 'unplace', service: 'db', fence: 4, unfitUntilMs, reason: reason.slice(0, 200) }, 5_000],
    ]);
    expect(made.log.noted).toEqual([`db stopped here: ${reason}`]);
    await made.pump(5_000);
    expect([made.log.wishes.length, made.log.held.length]).toEqual([1, 1]);
  });

  it('is given up at once, and fit for it again, where the agent ends', async () => {
    const { placed, log, pump, scheduler } = await having(['db', 'web']);
    await placed.stop();
    expect(log.released.map(([, name]) => name)).toEqual(['db', 'web']);
    expect(log.wishes.map(([, wish]) => wish)).toEqual(
      ['db', 'web'].map((service) => ({
        kind: 'unplace',
        service,
        fence: 4,
        unfitUntilMs: null,
        reason: 'its agent is stopping',
      })),
    );
    await pump(5_000);
    expect([log.held.length, scheduler.step(Number.POSITIVE_INFINITY)]).toEqual([2, false]);
  });
});

describe('a service that is handed over', () => {
  it('is looked for where it has gone, each half second, until its port answers', async () => {
    const { placed, its, placements, pump } = await having();
    Object.assign(its, { mayNotTake: 'unfit', port: 5_432, open: 'refused' });
    const told: string[] = [];
    let result: unknown;
    placed
      .handOver('db', 'disk', (text) => void told.push(text))
      .then((done) => {
        result = done;
      });
    await pump(0);
    placements.set('db', { peer: 'other', fence: 7, reason: '', move: null });
    await pump(1_500);
    expect(its.probes).toEqual(Array(3).fill('other 5432 1000'));
    its.open = 'open';
    await pump(500);
    expect(result).toEqual({ kind: 'moved', to: 'other' });
    expect(told).toEqual(['db was released at decision 9: disk', 'placed on other, fence 7', 'its port 5432 answers on other']);
  });

  it('is nowhere else where it comes back here, and while it is given up nothing else is done with it', async () => {
    const { placed, its, log, placements, pump } = await having();
    Object.assign(its, { mayNotTake: 'unfit', port: 5_432, open: 'refused' });
    let result: unknown;
    const told: string[] = [];
    placed
      .handOver('db', 'disk', (text) => void told.push(text))
      .then((done) => {
        result = done;
      });
    expect(await placed.handOver('db', 'disk', () => undefined)).toEqual({ kind: 'kept' });
    await pump(0);
    placements.set('db', { peer: 'other', fence: 7, reason: '', move: null });
    await pump(500);
    placements.set('db', { peer: 'self', fence: 8, reason: '', move: null });
    await pump(500);
    expect([result, told.at(-1)]).toEqual([{ kind: 'nowhere' }, 'no other member took over the service']);
    expect(log.released.length).toBe(1);
  });
});
