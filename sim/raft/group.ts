// A Raft group on a simulated network, with simulated disks and clocks: the same members as in reality, faults drawn from the seed,
// and clients whose reads and writes must be linearizable.
import { type ConfChange, LEAVE_JOINT } from '../../consensus/raft/config.ts';
import { CorruptLog } from '../../consensus/raft/durable-log.ts';
import { DEFAULT_SETTINGS, type LogSettings } from '../../consensus/raft/log-settings.ts';
import { ReplicatedLog } from '../../consensus/raft/replicated-log.ts';
import { LogUnavailable } from '../../consensus/raft/requests.ts';
import type { Entry, NodeId } from '../../consensus/raft/types.ts';
import { stepAll } from '../adapters/drain.ts';
import { linearizability, type Operation, type RegisterInput, type RegisterOutput, registers } from '../check/linearizability.ts';
import { ProcessClock } from '../machine/clock.ts';
import { Disk, SimulatedStore } from '../machine/disk.ts';
import { Process } from '../machine/process.ts';
import { SeededRandom } from '../random.ts';
import { Scheduler } from '../scheduler.ts';
import { RaftChecks } from './checks.ts';
import { carryOut, Registers } from './registers.ts';

export interface RaftGroupConfig {
  seed: number;
  /** Voters of the beginning; as many again wait to be taken in. */
  voters: number;
  spares: number;
  /** One way, uniform between the two. */
  latencyMs: readonly [number, number];
  clients: number;
  settings?: Partial<LogSettings>;
}

const KEYS = ['a', 'b', 'c'];
const CLIENT_TIMEOUT_MS = 3_000;
const BOOT_MS = 300;
const LOOK_EVERY_MS = 500;
/** Entries that may just be on their way. */
const CATCHING_UP = 20;
/** FNV-1a twice: checksums of simulated disks need not withstand anybody. */
function modelHash(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(32);
  for (let half = 0; half < 2; half++) {
    let hash = 0x811c9dc5 ^ half;
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
    new DataView(out.buffer).setUint32(half * 4, hash >>> 0);
  }
  return out;
}

class Member {
  readonly id: NodeId;
  readonly disk: Disk;
  process: Process;
  store: SimulatedStore | undefined;
  log: ReplicatedLog<Registers> | undefined;
  isUp = false;
  /** A record of its log is not what was written; when that was found, it says nothing any more. */
  isHurt = false;
  isDamaged = false;
  starts = 0;

  constructor(id: NodeId, disk: Disk, process: Process) {
    this.id = id;
    this.disk = disk;
    this.process = process;
  }
}

export class RaftGroup {
  readonly scheduler = new Scheduler();
  readonly checks = new RaftChecks();
  readonly members: Member[];
  readonly history: Operation<RegisterInput, RegisterOutput>[] = [];
  readonly faults: string[] = [];
  /** When each term's leader was known to itself. */
  readonly elections: { atMs: number; id: NodeId; term: number }[] = [];
  readonly #config: RaftGroupConfig;
  readonly #network: SeededRandom;
  readonly #clients: SeededRandom;
  readonly #begins: NodeId[];
  /** Links that carry nothing, as `from>to`. */
  readonly #cut = new Set<string>();
  #loss = 0;
  #duplicates = 0;
  #isOver = false;

  constructor(config: RaftGroupConfig) {
    this.#config = config;
    this.#network = new SeededRandom(config.seed, 'raft network');
    this.#clients = new SeededRandom(config.seed, 'raft clients');
    this.members = Array.from(
      { length: config.voters + config.spares },
      (_, i) => new Member(i + 1, new Disk(new SeededRandom(config.seed, `disk ${i}`)), new Process(this.scheduler)),
    );
    this.#begins = this.members.slice(0, config.voters).map(({ id }) => id);
    for (const member of this.members) this.boot(member);
    for (let i = 0; i < config.clients; i++) this.scheduler.after(1_000 + i * 50, () => this.#client(i));
    this.#look();
  }

  async runUntil(untilMs: number): Promise<void> {
    await stepAll(() => this.scheduler.step(untilMs));
  }

  // Members

  boot(member: Member): void {
    if (member.isUp || member.isDamaged) return;
    member.isUp = true;
    const { seed, latencyMs, settings } = this.#config;
    const process = new Process(this.scheduler);
    member.process = process;
    member.starts++;
    const store = new SimulatedStore(member.disk, this.scheduler, process);
    member.store = store;
    const random = new SeededRandom(seed, `member ${member.id} start ${member.starts}`);
    const ports = {
      clock: new ProcessClock(this.scheduler, () => 0, process),
      store,
      random,
      crypto: { hash: modelHash },
      rttMs: () => 2 * latencyMs[1],
    };
    const events = {
      send: (to: NodeId, bytes: Uint8Array) => this.#send(member, to, bytes),
      changed: ({ state, term }: { state: string; term: number }) => {
        if (state !== 'StateLeader' || member.log === undefined) return;
        this.elections.push({ atMs: this.scheduler.nowMs, id: member.id, term });
        this.checks.led(member.id, term, member.log);
      },
      applied: (entry: Entry) => this.checks.applied(member.id, entry, member.log?.state.term ?? Number.POSITIVE_INFINITY),
      diskFails: () => undefined,
      failed: (error: unknown) => {
        if (!process.dead)
          this.checks.violations.push(`${member.id} failed: ${error instanceof Error ? error.stack : String(error)}`);
      },
    };
    const voters = this.#begins.includes(member.id) ? this.#begins : undefined;
    ReplicatedLog.open(member.id, voters, new Registers(), ports, events, { ...DEFAULT_SETTINGS, ...settings }).then(
      (log) => {
        if (process.dead) return log.stop();
        member.log = log;
      },
      (error: unknown) => {
        if (process.dead) return;
        if (!(error instanceof CorruptLog)) return this.#crashFor(member, BOOT_MS);
        member.isDamaged = true;
      },
    );
  }

  crash(member: Member): void {
    if (!member.isUp) return;
    member.isUp = false;
    member.process.dead = true;
    member.store?.crash();
    member.log?.stop();
    member.log = undefined;
    // Its kernel closes its connections.
    for (const other of this.members) {
      if (other === member || this.#cut.has(`${member.id}>${other.id}`)) continue;
      this.scheduler.after(this.#latency(), () => other.process.run(() => other.log?.disconnected(member.id)));
    }
  }

  get leader(): Member | undefined {
    const leading = this.members.filter(({ log }) => log?.state.state === 'StateLeader');
    return leading.sort((a, b) => (b.log?.state.term ?? 0) - (a.log?.state.term ?? 0))[0];
  }

  // The network

  #latency(): number {
    const [low, high] = this.#config.latencyMs;
    return this.#network.between(low, high);
  }

  #send(from: Member, to: NodeId, bytes: Uint8Array): void {
    const there = this.members[to - 1];
    if (there === undefined || from.process.dead || this.#cut.has(`${from.id}>${to}`)) return;
    const copies = this.#network.unit() < this.#loss ? 0 : this.#network.unit() < this.#duplicates ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const { process } = there;
      this.scheduler.after(this.#latency(), () => {
        if (!this.#cut.has(`${from.id}>${to}`)) process.run(() => there.log?.receive(from.id, bytes));
      });
    }
  }

  // Faults

  #fault(text: string): void {
    this.faults.push(`${(this.scheduler.nowMs / 1000).toFixed(2)} ${text}`);
  }

  /** Draws faults from the seed until a time; then everything is mended, and the group may settle. */
  draw(random: SeededRandom, fromMs: number, untilMs: number, everyMs: number): void {
    for (let atMs = fromMs; atMs < untilMs; atMs += random.between(0.2, 1.8) * everyMs)
      this.scheduler.at(atMs, () => this.#drawOne(random));
    this.scheduler.at(untilMs, () => this.mend());
  }

  #drawOne(random: SeededRandom): void {
    const some = (): Member => this.members[Math.floor(random.unit() * this.members.length)] as Member;
    const victim = random.unit() < 0.4 ? (this.leader ?? some()) : some();
    const forMs = random.between(100, 4_000);
    const kinds = [
      () => this.#crashFor(victim, forMs),
      () => this.#crashFor(victim, forMs),
      () => this.#pause(victim, Math.min(forMs, 2_500)),
      () => this.#partition(random, forMs),
      () => this.#partition(random, forMs),
      () => this.#isolate(victim, random.unit() < 0.5, forMs),
      () => this.#lossy(random.between(0.05, 0.5), random.between(0, 0.3), forMs),
      () => this.#fillDisk(victim, forMs),
      () => this.#slowDisk(victim, random.between(20, 300), forMs),
      () => this.#changeMembers(random),
      () => this.#changeMembers(random),
      () => this.#transfer(some()),
      () => this.#crashAll(forMs),
      () => this.#damage(victim, random),
    ];
    kinds[Math.floor(random.unit() * kinds.length)]?.();
  }

  #crashFor(member: Member, forMs: number): void {
    this.#fault(`kill -9 of ${member.id} for ${forMs.toFixed(0)} ms`);
    this.crash(member);
    this.scheduler.after(forMs + BOOT_MS, () => this.boot(member));
  }

  #crashAll(forMs: number): void {
    this.#fault('power cut');
    for (const member of this.members) this.#crashFor(member, forMs / 4);
  }

  #pause(member: Member, forMs: number): void {
    this.#fault(`${member.id} stalls for ${forMs.toFixed(0)} ms`);
    member.process.pause(forMs);
  }

  #cutFor(links: readonly string[], forMs: number): void {
    for (const link of links) this.#cut.add(link);
    this.scheduler.after(forMs, () => {
      for (const link of links) this.#cut.delete(link);
    });
  }

  #partition(random: SeededRandom, forMs: number): void {
    const sides = new Map(this.members.map(({ id }) => [id, random.unit() < 0.5]));
    const links = this.members.flatMap(({ id: a }) =>
      this.members.filter(({ id: b }) => sides.get(a) !== sides.get(b)).map(({ id: b }) => `${a}>${b}`),
    );
    this.#fault(`partition ${[...sides].map(([id, side]) => `${id}${side ? '+' : '-'}`).join(' ')} for ${forMs.toFixed(0)} ms`);
    this.#cutFor(links, forMs);
  }

  #isolate({ id }: Member, bothWays: boolean, forMs: number): void {
    this.#fault(`${id} is ${bothWays ? 'cut off' : 'deaf'} for ${forMs.toFixed(0)} ms`);
    const others = this.members.filter((other) => other.id !== id);
    this.#cutFor(
      others.flatMap((other) => (bothWays ? [`${id}>${other.id}`, `${other.id}>${id}`] : [`${other.id}>${id}`])),
      forMs,
    );
  }

  #lossy(loss: number, duplicates: number, forMs: number): void {
    this.#fault(`${Math.round(loss * 100)} % loss, ${Math.round(duplicates * 100)} % twice for ${forMs.toFixed(0)} ms`);
    [this.#loss, this.#duplicates] = [loss, duplicates];
    this.scheduler.after(forMs, () => {
      [this.#loss, this.#duplicates] = [0, 0];
    });
  }

  #fillDisk(member: Member, forMs: number): void {
    this.#fault(`the disk of ${member.id} is full for ${forMs.toFixed(0)} ms`);
    member.disk.full = true;
    this.scheduler.after(forMs, () => {
      member.disk.full = false;
    });
  }

  #slowDisk(member: Member, writeMs: number, forMs: number): void {
    this.#fault(`the disk of ${member.id} takes ${writeMs.toFixed(0)} ms for ${forMs.toFixed(0)} ms`);
    const before = member.disk.writeMs;
    member.disk.writeMs = writeMs;
    this.scheduler.after(forMs, () => {
      member.disk.writeMs = Math.min(before, member.disk.writeMs);
    });
  }

  /** One voter more or fewer, or several at once through a joint configuration; never fewer than three. */
  #changeMembers(random: SeededRandom): void {
    const { log } = this.leader ?? {};
    if (log === undefined) return;
    const voters = new Set(log.conf.voters);
    const changes: ConfChange[] = [];
    for (let i = random.unit() < 0.5 ? 1 : 2; i > 0; i--) {
      const { id } = this.members[Math.floor(random.unit() * this.members.length)] as Member;
      if (voters.has(id) && voters.size <= 3) continue;
      const isIn = voters.has(id);
      changes.push({
        type: isIn ? (random.unit() < 0.3 ? 'ConfChangeAddLearnerNode' : 'ConfChangeRemoveNode') : 'ConfChangeAddNode',
        node: id,
      });
      if (isIn) voters.delete(id);
      else voters.add(id);
    }
    // A majority of them must be able to answer: no group survives the loss of its quorum.
    const healthy = [...voters].filter((id) => this.members[id - 1]?.isHurt === false);
    if (changes.length === 0 || healthy.length <= Math.floor(voters.size / 2) + 1) return;
    this.#fault(`change ${changes.map(({ type, node }) => `${type} ${node}`).join(', ')}`);
    try {
      log.changeConf({ ...LEAVE_JOINT, changes });
    } catch (error) {
      if (!(error instanceof LogUnavailable)) throw error;
    }
  }

  #transfer({ id }: Member): void {
    this.#fault(`leadership is handed to ${id}`);
    this.leader?.log?.transferLeader(id);
  }

  /** A record on one disk no longer holds what was written; only while the others can go on without it. */
  #damage(member: Member, random: SeededRandom): void {
    const { log } = this.leader ?? {};
    const voters = log?.conf.voters ?? [];
    if (voters.length < 5 || this.members.some(({ isHurt }) => isHurt)) return;
    const keys = [...member.disk.content.keys()].filter((key) => key.startsWith('raft/')).sort();
    const key = keys[Math.floor(random.unit() * keys.length)];
    const value = key === undefined ? undefined : member.disk.content.get(key);
    if (key === undefined || value === undefined) return;
    this.#fault(`${key} of ${member.id} is damaged`);
    const broken = Uint8Array.from(value);
    const at = Math.floor(random.unit() * broken.length);
    broken[at] = (broken[at] ?? 0) ^ (1 << Math.floor(random.unit() * 8));
    this.crash(member);
    member.isHurt = true;
    member.disk.content.set(key, broken);
    this.scheduler.after(BOOT_MS, () => this.boot(member));
  }

  mend(): void {
    this.#cut.clear();
    [this.#loss, this.#duplicates] = [0, 0];
    for (const member of this.members) {
      member.disk.full = false;
      if (!member.isUp) this.scheduler.after(BOOT_MS, () => this.boot(member));
    }
  }

  // Clients and checks

  #look(): void {
    for (const { id, log } of this.members) if (log !== undefined) this.checks.matching(id, log);
    if (!this.#isOver) this.scheduler.after(LOOK_EVERY_MS, () => this.#look());
  }

  #client(number: number, turn = 0): void {
    if (this.#isOver) return;
    const random = this.#clients;
    const again = (): void => void this.scheduler.after(random.between(5, 200), () => this.#client(number, turn + 1));
    const running = this.members.filter(({ log }) => log !== undefined);
    const { log } = running[Math.floor(random.unit() * running.length)] ?? {};
    if (log === undefined) return again();
    const key = KEYS[Math.floor(random.unit() * KEYS.length)] ?? 'a';
    const value = `${number}-${turn}`;
    const draw = random.unit();
    const known = log.machine.get(key);
    const input: RegisterInput =
      draw < 0.4
        ? { kind: 'read', key }
        : draw < 0.8 || known === null
          ? { kind: 'write', key, value }
          : { kind: 'cas', key, from: known, to: value };
    const operation: Operation<RegisterInput, RegisterOutput> = {
      input,
      output: undefined,
      called: this.scheduler.nowMs,
      returned: Number.POSITIVE_INFINITY,
    };
    this.history.push(operation);
    const end = (output: RegisterOutput): void => {
      Object.assign(operation, { output, returned: this.scheduler.nowMs });
    };
    const drop = (): void => void this.history.splice(this.history.indexOf(operation), 1);
    carryOut(log, input, CLIENT_TIMEOUT_MS)
      .then(end, (error: unknown) => {
        if (!(error instanceof LogUnavailable)) throw error;
        if (!error.isUnknown) drop();
      })
      .finally(again);
    // A member that is killed answers nobody: the client goes on.
    if (this.members.every((member) => member.log !== log)) again();
  }

  /** Of a group that is mended: it has a leader, and every voter that can has what the leader has. */
  settled(): void {
    const { leader } = this;
    if (leader?.log === undefined) return void this.checks.violations.push('there is no leader, though everything is mended');
    for (const id of leader.log.conf.voters) {
      const { log, isHurt } = this.members[id - 1] ?? {};
      const behind = leader.log.state.applied - (log?.state.applied ?? 0);
      if (isHurt !== true && behind > CATCHING_UP)
        this.checks.violations.push(`${id} is ${behind} entries behind, though everything is mended`);
    }
  }

  /** Ends the run: what came of the clients' operations is judged. */
  end(): void {
    this.#isOver = true;
    const { ok, ...rest } = linearizability(registers(null), this.history);
    if (ok !== true) this.checks.violations.push(`not linearizable: ${JSON.stringify(rest).slice(0, 2_000)}`);
  }
}
