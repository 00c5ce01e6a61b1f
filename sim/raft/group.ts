// A Raft group on a simulated network, with simulated disks and clocks: the same members as in reality, which crash and boot again, and
// clients whose reads and writes must be linearizable. faults.ts draws the faults.
import { CorruptLog } from '../../consensus/raft/durable-log.ts';
import { DEFAULT_SETTINGS, type LogSettings } from '../../consensus/raft/log-settings.ts';
import { ReplicatedLog } from '../../consensus/raft/replicated-log.ts';
import type { Entry, NodeId } from '../../consensus/raft/types.ts';
import { stepAll } from '../adapters/drain.ts';
import { linearizability, registers } from '../check/linearizability.ts';
import { ProcessClock } from '../machine/clock.ts';
import { Disk, SimulatedStore } from '../machine/disk.ts';
import { Process } from '../machine/process.ts';
import { SeededRandom } from '../random.ts';
import { Scheduler } from '../scheduler.ts';
import { RaftChecks } from './checks.ts';
import { GroupClients } from './clients.ts';
import { GroupLinks } from './links.ts';
import { Member } from './member.ts';
import { Registers } from './registers.ts';

export interface RaftGroupConfig {
  seed: number;
  /** The first voters; as many others wait to be added. */
  voters: number;
  spares: number;
  /** One way, uniform between the two. */
  latencyMs: readonly [number, number];
  clients: number;
  settings?: Partial<LogSettings>;
}

export const BOOT_MS = 300;
const LOOK_EVERY_MS = 500;
/** Entries that may be in flight. */
const CATCHING_UP = 20;
/** FNV-1a twice: checksums of simulated disks need not withstand attacks. */
function modelHash(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(32);
  for (let half = 0; half < 2; half++) {
    let hash = 0x811c9dc5 ^ half;
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
    new DataView(out.buffer).setUint32(half * 4, hash >>> 0);
  }
  return out;
}

export class RaftGroup {
  readonly scheduler = new Scheduler();
  readonly checks = new RaftChecks();
  readonly members: Member[];
  readonly links: GroupLinks;
  readonly clients: GroupClients;
  readonly faults: string[] = [];
  /** When each term's leader became leader. */
  readonly elections: { atMs: number; id: NodeId; term: number }[] = [];
  readonly #config: RaftGroupConfig;
  readonly #begins: NodeId[];
  #isOver = false;

  constructor(config: RaftGroupConfig) {
    this.#config = config;
    this.links = new GroupLinks(this.scheduler, new SeededRandom(config.seed, 'raft network'), config.latencyMs);
    this.members = Array.from(
      { length: config.voters + config.spares },
      (_, i) => new Member(i + 1, new Disk(new SeededRandom(config.seed, `disk ${i}`)), new Process(this.scheduler)),
    );
    this.#begins = this.members.slice(0, config.voters).map(({ id }) => id);
    for (const member of this.members) this.boot(member);
    this.clients = new GroupClients(config.clients, this.scheduler, new SeededRandom(config.seed, 'raft clients'), this.members);
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
        if (!(error instanceof CorruptLog)) return this.crashFor(member, BOOT_MS);
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
      if (other === member || this.links.isCut(member.id, other.id)) continue;
      this.scheduler.after(this.links.latency(), () => other.process.run(() => other.log?.disconnected(member.id)));
    }
  }

  crashFor(member: Member, forMs: number): void {
    this.note(`kill -9 of ${member.id} for ${forMs.toFixed(0)} ms`);
    this.crash(member);
    this.scheduler.after(forMs + BOOT_MS, () => this.boot(member));
  }

  #send(from: Member, to: NodeId, bytes: Uint8Array): void {
    const there = this.members[to - 1];
    if (there === undefined || from.process.dead) return;
    const { process } = there;
    this.links.carry(from.id, to, () => process.run(() => there.log?.receive(from.id, bytes)));
  }

  get leader(): Member | undefined {
    const leading = this.members.filter(({ log }) => log?.state.state === 'StateLeader');
    return leading.sort((a, b) => (b.log?.state.term ?? 0) - (a.log?.state.term ?? 0))[0];
  }

  // Faults

  /** A fault, for reports. */
  note(text: string): void {
    this.faults.push(`${(this.scheduler.nowMs / 1000).toFixed(2)} ${text}`);
  }

  mend(): void {
    this.links.mend();
    for (const member of this.members) {
      member.disk.full = false;
      if (!member.isUp) this.scheduler.after(BOOT_MS, () => this.boot(member));
    }
  }

  // Checks

  #look(): void {
    for (const { id, log } of this.members) if (log !== undefined) this.checks.matching(id, log);
    if (!this.#isOver) this.scheduler.after(LOOK_EVERY_MS, () => this.#look());
  }

  /** Checks a group without faults: it has a leader, and every voter that can has the leader's entries. */
  settled(): void {
    const { leader } = this;
    if (leader?.log === undefined) return void this.checks.violations.push('no leader, though all faults have ended');
    for (const id of leader.log.conf.voters) {
      const { log, isHurt } = this.members[id - 1] ?? {};
      const behind = leader.log.state.applied - (log?.state.applied ?? 0);
      if (isHurt !== true && behind > CATCHING_UP)
        this.checks.violations.push(`${id} is ${behind} entries behind, though all faults have ended`);
    }
  }

  /** Ends the run, and checks the history of the clients' operations. */
  end(): void {
    this.#isOver = true;
    this.clients.stop();
    const { ok, ...rest } = linearizability(registers(null), this.clients.history);
    if (ok !== true) this.checks.violations.push(`not linearizable: ${JSON.stringify(rest).slice(0, 2_000)}`);
  }
}
