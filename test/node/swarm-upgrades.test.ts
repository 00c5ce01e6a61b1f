// The swarm's release on one machine: whom it is fetched from, when the agent restarts as it, what is reported of it, and what is refused.
import { describe, expect, it } from 'vitest';
import type { Wish } from '../../consensus/decisions/decision.ts';
import type { Outcome } from '../../consensus/decisions/state.ts';
import { newUpgrades } from '../../consensus/decisions/upgrades.ts';
import { SwarmUpgrades } from '../../node/coordination/swarm-upgrades.ts';
import type { Decisions } from '../../node/decisions/decisions.ts';
import type { Incident } from '../../node/detection/incident.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ModelledCrypto } from '../../sim/adapters/crypto.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { decodeCbor, encodeCbor, toHex } from '../../swarm/dissemination/cbor.ts';
import { fakeMembers } from '../support/members.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

const SWARM = 'd'.repeat(32);
const START_MS = 1_700_000_000_000;
const SOAK_MS = 20_000;
const PART_BYTES = 49_152;
const [self, issuer] = ['sim-self', 'sim-issuer'].map((peer) => new ModelledCrypto(peer, new Uint8Array([1]))) as [
  ModelledCrypto,
  ModelledCrypto,
];
const archiveOf = (nth: number): Uint8Array => new Uint8Array(100_000).fill(nth);
const digestOf = (archive: Uint8Array): string => toHex(self.hash(archive));
const GOOD = digestOf(archiveOf(1));

function world() {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler, () => START_MS);
  const upgrades = newUpgrades();
  const its = {
    alive: [self.self, issuer.self, 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'],
    issuers: [issuer.self],
    coordinator: 'c' as string | undefined,
    incidents: [] as Incident[],
    ready: true,
    /** Who has which archive. */
    have: new Map<string, Uint8Array>(),
    part: undefined as ((asked: [string, number]) => unknown) | undefined,
    outcome: { ok: true, index: 7 } as Outcome,
  };
  const log = {
    asked: [] as [string, unknown, number][],
    wishes: [] as [Wish, number][],
    caughtUp: [] as [number, number][],
    lines: [] as string[],
    noted: [] as string[],
    calls: [] as string[],
  };
  const releases = {
    takes: true,
    running: '',
    isOnTrial: false,
    failed: undefined as { digest: string; reason: string } | undefined,
    version: '0.5.0',
    kept: new Map<string, Uint8Array>(),
    read: async (digest: string, from: number, most: number) => releases.kept.get(digest)?.slice(from, from + most),
    keep: async (digest: string, archive: Uint8Array) => {
      releases.kept.set(digest, archive);
      return releases.version;
    },
    has: async (digest: string) => releases.kept.has(digest),
    choose: async (digest: string) => void log.calls.push(`choose ${digest.slice(0, 8)}`),
    beat: async () => void log.calls.push('beat'),
    confirm: async () => {
      log.calls.push('confirm');
      releases.isOnTrial = false;
    },
    forgive: async () => {
      log.calls.push('forgive');
      releases.failed = undefined;
    },
  };
  const decisions = {
    state: { upgrades },
    decide: async (wish: Wish, withinMs: number) => {
      log.wishes.push([wish, withinMs]);
      if (wish.kind === 'upgrade-report') upgrades.report(wish.upgrade, { peer: self.self, ok: wish.ok, reason: wish.reason });
      return its.outcome;
    },
    reads: { caughtUp: async (index: number, withinMs: number) => void log.caughtUp.push([index, withinMs]) },
  } as unknown as Decisions;
  const ports = { clock, crypto: self, store: new PlainStore(), releases } as unknown as Ports;
  const members = fakeMembers({
    alive: () => its.alive,
    mayDecide: (peer) => its.issuers.includes(peer),
    nameOf: (peer) => peer.replace('sim-', ''),
  });
  const agent = new SwarmUpgrades(ports, SWARM, decisions, members, {
    ask: async (peer, body, withinMs) => {
      const asked = decodeCbor(body) as [string, number];
      log.asked.push([peer, asked, withinMs]);
      if (its.part !== undefined) return encodeCbor(its.part(asked));
      const archive = its.have.get(peer);
      if (archive === undefined) throw new Error('gone');
      return encodeCbor(archive.slice(asked[1], asked[1] + PART_BYTES));
    },
    coordinator: () => its.coordinator,
    incidents: () => its.incidents,
    isReady: () => its.ready,
    noted: async (text) => void log.noted.push(text),
    restart: () => void log.calls.push('restart'),
    log: (level, text) => void log.lines.push(`${level} ${text}`),
  });
  /** Somebody pushes a release. */
  const push = (nth: number, canary: string[], given: { by?: ModelledCrypto; signature?: Uint8Array } = {}): void => {
    const { by = issuer } = given;
    const archive = archiveOf(nth);
    const release = { by: by.self, version: '0.5.0', digest: digestOf(archive), bytes: archive.length, pushedMs: START_MS + nth };
    const signature = given.signature ?? by.sign(upgrades.kind.bytesOf(SWARM, release));
    const id = nth.toString(16).padStart(32, '0');
    expect(upgrades.push({ id, atMs: clock.wallMs(), ...release, signature, canary, soakMs: SOAK_MS })).toBeUndefined();
  };
  const opened = (id: string, given: Partial<Incident> = {}): void =>
    void its.incidents.push({ id, target: 'web', state: 'open', steps: [], ...given } as unknown as Incident);
  return { agent, its, log, releases, upgrades, push, opened, clock, scheduler, pump: (ms: number) => pass(scheduler, ms) };
}

type World = ReturnType<typeof world>;

const reportsOf = ({ log }: World): [boolean, string][] =>
  log.wishes.flatMap(([wish]) => (wish.kind === 'upgrade-report' ? [[wish.ok, wish.reason] as [boolean, string]] : []));

describe('a release whose turn it is here', () => {
  it('is fetched in parts from whoever has it, and the agent restarts as it, once', async () => {
    const { agent, its, log, releases, push, pump, scheduler } = world();
    its.have.set('d', archiveOf(1));
    push(1, [self.self, 'd']);
    agent.start();
    await pump(999);
    expect(log.asked).toEqual([]);
    await pump(1);
    expect(log.asked).toEqual([0, PART_BYTES, 2 * PART_BYTES].map((at) => ['d', [GOOD, at], 10_000]));
    expect(releases.kept.get(GOOD)).toEqual(archiveOf(1));
    const what = `release 0.5.0 (${GOOD.slice(0, 8)})`;
    expect([log.lines, log.noted, log.calls]).toEqual([
      ['info received release 0.5.0 from d', `info restarting as ${what}`],
      [`restarts as ${what}`],
      [`choose ${GOOD.slice(0, 8)}`, 'restart'],
    ]);
    await pump(60_000);
    expect([log.calls.length, scheduler.step(Number.POSITIVE_INFINITY)]).toEqual([2, false]);
  });

  it('is not asked for where it is here already', async () => {
    const { agent, log, releases, push, pump } = world();
    releases.kept.set(GOOD, archiveOf(1));
    push(1, [self.self]);
    agent.start();
    await pump(1_000);
    expect([log.asked, log.calls]).toEqual([[], [`choose ${GOOD.slice(0, 8)}`, 'restart']]);
  });

  it('is asked of those whose turn was before, the last first; of whoever pushed it; then of others: eight at most', async () => {
    const { agent, log, upgrades, push, pump, clock, its } = world();
    push(1, ['d', 'gone', 'e']);
    for (const peer of ['d', 'gone', 'e']) upgrades.report('1'.padStart(32, '0'), { peer, ok: true, reason: '' });
    const id = '1'.padStart(32, '0');
    const atMs = clock.wallMs();
    upgrades.advanceTo({ id, atMs: atMs + SOAK_MS }, ['f', 'g', 'h']);
    for (const peer of ['f', 'g', 'h']) upgrades.report(id, { peer, ok: true, reason: '' });
    upgrades.advanceTo({ id, atMs: atMs + 2 * SOAK_MS }, [self.self]);
    agent.start();
    await pump(1_000);
    expect(log.asked.map(([peer]) => peer)).toEqual(['e', 'd', 'h', 'g', issuer.self, 'c', 'f', 'i']);
    expect(log.lines).toEqual([`warn release roll-out: no reachable member has release 0.5.0 (${GOOD.slice(0, 8)})`]);
    its.have.set('i', archiveOf(2));
    its.have.set('f', archiveOf(1));
    await pump(6_000);
    expect(log.lines.at(-2)).toBe('info received release 0.5.0 from f');
  });

  it.each<[string, (asked: [string, number]) => unknown]>([
    ['nothing', () => null],
    ['an empty part', () => new Uint8Array()],
    ['more than there is', ([, at]) => new Uint8Array(at === 0 ? 50_000 : 50_001)],
    ['another archive', ([, at]) => archiveOf(2).slice(at, at + PART_BYTES)],
  ])('is not taken from who answers with %s', async (_title, part) => {
    const { agent, its, releases, log, push, pump } = world();
    its.part = part;
    push(1, [self.self]);
    agent.start();
    await pump(1_000);
    expect([releases.kept.size, log.calls, log.lines.length]).toEqual([0, [], 1]);
  });

  it('that could not be had is tried six times, five seconds apart, and then said to be none for this machine', async () => {
    const made = world();
    const { agent, log, push, pump, its } = made;
    its.alive = [self.self, 'c'];
    push(1, [self.self]);
    agent.start();
    const times: number[] = [];
    for (let second = 1; second <= 50; second++) {
      const before = log.asked.length;
      await pump(1_000);
      if (log.asked.length > before) times.push(second);
    }
    expect(times).toEqual([1, 6, 11, 16, 21, 26]);
    const reason = `no reachable member has release 0.5.0 (${GOOD.slice(0, 8)})`;
    expect(reportsOf(made)).toEqual([[false, reason]]);
    expect(log.lines.at(-1)).toBe(`warn release 0.5.0 is rejected here: ${reason}`);
  });

  it('counts its tries again where another is wanted', async () => {
    const made = world();
    made.its.alive = [self.self, 'c'];
    made.push(1, [self.self]);
    made.agent.start();
    await made.pump(21_000);
    expect(made.log.asked.length).toBe(5);
    made.upgrades.withdraw({ id: '1'.padStart(32, '0'), atMs: START_MS }, 'x');
    await made.pump(6_000);
    made.push(2, [self.self]);
    await made.pump(21_000);
    expect([made.log.asked.length, reportsOf(made)]).toEqual([10, []]);
    await made.pump(10_000);
    expect([made.log.asked.length, reportsOf(made).length]).toEqual([11, 1]);
  });

  it('that says that it is another version is not taken', async () => {
    const { agent, its, releases, log, push, pump } = world();
    its.have.set('c', archiveOf(1));
    releases.version = '0.6.0';
    push(1, [self.self]);
    agent.start();
    await pump(1_000);
    expect([log.lines, log.calls]).toEqual([['warn release roll-out: the archive is KALOS 0.6.0, not 0.5.0'], []]);
  });

  it.each<[string, (made: World) => void, string]>([
    [
      'is not signed',
      ({ push }) => push(1, [self.self], { signature: new Uint8Array(64) }),
      'it is not signed by the member that pushed it',
    ],
    ['is pushed by no issuer', ({ push }) => push(1, [self.self], { by: self }), 'self is not an issuer'],
    [
      'was given up here before',
      ({ push, releases }) => {
        releases.failed = { digest: GOOD, reason: `it ended by itself${'.'.repeat(300)}` };
        push(1, [self.self]);
      },
      `it ended by itself${'.'.repeat(182)}`,
    ],
    [
      'is one of the swarm, and it takes none',
      ({ push, releases }) => {
        releases.takes = false;
        push(1, [self.self]);
      },
      'it accepts no swarm releases (upgrades = false)',
    ],
  ])('that %s is reported, once, and not taken', async (_title, arrange, reason) => {
    const made = world();
    made.its.have.set('c', archiveOf(1));
    arrange(made);
    made.agent.start();
    await made.pump(10_000);
    expect(reportsOf(made)).toEqual([[false, reason]]);
    expect(made.log.wishes[0]).toEqual([{ kind: 'upgrade-report', upgrade: '1'.padStart(32, '0'), ok: false, reason }, 5_000]);
    expect(made.log.caughtUp).toEqual([[7, 5_000]]);
    expect([made.log.calls, made.log.asked]).toEqual([[], []]);
    expect(made.log.lines).toEqual([`warn release 0.5.0 is rejected here: ${reason}`]);
  });

  it('does no harm where no canary takes none', async () => {
    const made = world();
    made.releases.takes = false;
    made.push(1, ['d']);
    const id = '1'.padStart(32, '0');
    made.upgrades.report(id, { peer: 'd', ok: true, reason: '' });
    made.upgrades.advanceTo({ id, atMs: made.clock.wallMs() + SOAK_MS }, [self.self]);
    made.agent.start();
    await made.pump(5_000);
    expect(reportsOf(made)).toEqual([[true, 'it accepts no swarm releases (upgrades = false)']]);
    expect(made.log.lines).toEqual([]);
  });

  it('is not waited for where the report was refused', async () => {
    const made = world();
    made.its.outcome = { ok: false, reason: 'x' };
    made.releases.takes = false;
    made.push(1, [self.self]);
    made.agent.start();
    await made.pump(1_000);
    expect([made.log.wishes.length, made.log.caughtUp]).toEqual([1, []]);
  });
});

describe('a machine whose turn it is not', () => {
  it('takes nothing, says nothing, and goes back to its own package from what is not wanted', async () => {
    const { agent, log, push, pump, releases } = world();
    push(1, ['c']);
    agent.start();
    await pump(5_000);
    expect([log.calls, log.lines, log.wishes]).toEqual([[], [], []]);
    releases.running = GOOD;
    await pump(1_000);
    expect(log.lines).toEqual(['info restarting as the installed package']);
    expect(log.calls).toEqual(['choose ', 'restart']);
  });

  it('tries again what was given up once something else is wanted', async () => {
    const { agent, log, releases, pump } = world();
    releases.failed = { digest: GOOD, reason: 'x' };
    agent.start();
    await pump(5_000);
    expect(log.calls).toEqual(['forgive']);
  });
});

describe('a release that runs here', () => {
  async function running(given: { onTrial?: boolean } = {}): Promise<World> {
    const made = world();
    await made.pump(7_000); // it is not the first that runs on this machine
    made.opened('old', { state: 'escalated' });
    made.push(1, [self.self]);
    Object.assign(made.releases, { running: GOOD, isOnTrial: given.onTrial ?? false });
    made.agent.start();
    return made;
  }

  it('is reported to do well once it was watched, and not before', async () => {
    const made = await running({ onTrial: true });
    await made.pump(SOAK_MS - 1);
    expect([reportsOf(made), made.log.calls.includes('confirm')]).toEqual([[], false]);
    await made.pump(1);
    expect([reportsOf(made), made.log.calls.at(-1)]).toEqual([[[true, '']], 'confirm']);
    await made.pump(20_000);
    expect([reportsOf(made).length, made.log.lines]).toEqual([1, []]);
    // What it does to others after that is said once more.
    made.opened('new', { state: 'escalated' });
    await made.pump(5_000);
    expect(reportsOf(made).length).toBe(2);
  });

  it.each<[string, (made: World) => void, string]>([
    [
      'an incident was escalated',
      ({ opened }) => opened('inc-1', { state: 'escalated' }),
      'its repair of web did not help (kalos explain inc-1)',
    ],
    [
      'something was undone',
      ({ opened }) => opened('inc-1', { steps: [{ stage: 'act' }, { stage: 'undo' }] as Incident['steps'] }),
      'its repair of web did not help (kalos explain inc-1)',
    ],
  ])('does harm where %s', async (_title, arrange, reason) => {
    const made = await running({ onTrial: true });
    made.opened('inc-0', { steps: [{ stage: 'act' }] as Incident['steps'] });
    await made.pump(2_000);
    expect(reportsOf(made)).toEqual([]);
    arrange(made);
    await made.pump(1_000);
    expect(reportsOf(made)).toEqual([[false, reason]]);
    await made.pump(SOAK_MS);
    expect([reportsOf(made).length, made.log.calls.includes('confirm')]).toEqual([1, false]);
  });

  it('is not ready once it was watched: that is harm too', async () => {
    const made = await running();
    made.its.ready = false;
    await made.pump(SOAK_MS - 1);
    expect(reportsOf(made)).toEqual([]);
    await made.pump(1);
    expect(reportsOf(made)).toEqual([[false, 'this machine is no longer ready']]);
  });

  it('lives, on trial, while the swarm has a leader', async () => {
    const made = await running({ onTrial: true });
    await made.pump(3_000);
    made.its.coordinator = undefined;
    await made.pump(2_000);
    expect(made.log.calls).toEqual(['beat', 'beat', 'beat']);
    const other = await running();
    await other.pump(5_000);
    expect(other.log.calls).toEqual([]);
  });

  it('is good elsewhere already: it is on trial for fifteen seconds here', async () => {
    const made = await running({ onTrial: true });
    const id = '1'.padStart(32, '0');
    made.upgrades.report(id, { peer: self.self, ok: true, reason: '' });
    made.upgrades.advanceTo({ id, atMs: made.clock.wallMs() + SOAK_MS }, []);
    await made.pump(14_999);
    expect(made.log.calls.includes('confirm')).toBe(false);
    await made.pump(1);
    expect(made.log.calls.at(-1)).toBe('confirm');
    expect(made.log.wishes).toEqual([]);
  });

  it('is nothing to watch where the machine runs its own package', async () => {
    const made = world();
    made.releases.isOnTrial = true;
    made.agent.start();
    await made.pump(30_000);
    expect([made.log.wishes, made.log.calls.includes('confirm')]).toEqual([[], false]);
  });

  it('is looked at no more once this stops, though it was being fetched', async () => {
    const made = world();
    made.push(1, [self.self]);
    made.its.alive = ['c'];
    made.its.have.set('c', archiveOf(1));
    made.its.part = ([, at]) => {
      made.agent.stop();
      return archiveOf(1).slice(at, at + PART_BYTES);
    };
    made.agent.start();
    await made.pump(10_000);
    expect([made.log.asked.length, made.log.calls, made.scheduler.step(Number.POSITIVE_INFINITY)]).toEqual([1, [], false]);
  });
});

describe('what others ask, and what is pushed here', () => {
  it('is a part of an archive, or that it is not here; and nothing malformed', async () => {
    const { agent, releases } = world();
    releases.kept.set(GOOD, archiveOf(1));
    const ask = async (body: unknown): Promise<unknown> => decodeCbor(await agent.answer(encodeCbor(body)));
    expect([await ask([GOOD, 0]), await ask([GOOD, 99_990]), await ask(['f'.repeat(64), 0])]).toEqual([
      new Uint8Array(PART_BYTES).fill(1),
      new Uint8Array(10).fill(1),
      null,
    ]);
    for (const body of ['x', [GOOD], [1, 0], [GOOD, 0.5]]) await expect(ask(body)).rejects.toThrow('malformed request');
  });

  it('is kept, signed, and decided with how it is to be tried', async () => {
    const { agent, log, releases, upgrades } = world();
    const archive = archiveOf(1);
    expect(await agent.push(archive, { canary: ['c'], soakMs: SOAK_MS })).toEqual({ ok: true, index: 7 });
    expect(releases.kept.get(GOOD)).toBe(archive);
    const release = { version: '0.5.0', digest: GOOD, bytes: 100_000, pushedMs: START_MS };
    const signature = self.sign(upgrades.kind.bytesOf(SWARM, { by: self.self, ...release }));
    expect(log.wishes).toEqual([[{ kind: 'upgrade', ...release, signature, canary: ['c'], soakMs: SOAK_MS }, 5_000]]);
  });
});
