// Random faults of a simulated Raft group, drawn from a seed: crashes, stalls, partitions, disks that are full, slow or damaged, configuration
// changes, and leadership transfers.
import { type ConfChange, LEAVE_JOINT } from '../../consensus/raft/config.ts';
import { LogUnavailable } from '../../consensus/raft/requests.ts';
import type { SeededRandom } from '../random.ts';
import { BOOT_MS, type RaftGroup } from './group.ts';
import type { Member } from './member.ts';

export class GroupFaults {
  readonly #group: RaftGroup;
  readonly #random: SeededRandom;

  constructor(group: RaftGroup, random: SeededRandom) {
    this.#group = group;
    this.#random = random;
  }

  /** Draws faults from the seed until a time; then all faults end, and the group may settle. */
  draw(fromMs: number, untilMs: number, everyMs: number): void {
    for (let atMs = fromMs; atMs < untilMs; atMs += this.#random.between(0.2, 1.8) * everyMs)
      this.#group.scheduler.at(atMs, () => this.#drawOne());
    this.#group.scheduler.at(untilMs, () => this.#group.mend());
  }

  #drawOne(): void {
    const random = this.#random;
    const some = (): Member => this.#group.members[Math.floor(random.unit() * this.#group.members.length)] as Member;
    const victim = random.unit() < 0.4 ? (this.#group.leader ?? some()) : some();
    const forMs = random.between(100, 4_000);
    const kinds = [
      () => this.#group.crashFor(victim, forMs),
      () => this.#group.crashFor(victim, forMs),
      () => this.#pause(victim, Math.min(forMs, 2_500)),
      () => this.#partition(forMs),
      () => this.#partition(forMs),
      () => this.#isolate(victim, random.unit() < 0.5, forMs),
      () => this.#lossy(random.between(0.05, 0.5), random.between(0, 0.3), forMs),
      () => this.#fillDisk(victim, forMs),
      () => this.#slowDisk(victim, random.between(20, 300), forMs),
      () => this.#changeMembers(),
      () => this.#changeMembers(),
      () => this.#transfer(some()),
      () => this.#crashAll(forMs),
      () => this.#damage(victim),
    ];
    kinds[Math.floor(random.unit() * kinds.length)]?.();
  }

  #crashAll(forMs: number): void {
    this.#group.note('power cut');
    for (const member of this.#group.members) this.#group.crashFor(member, forMs / 4);
  }

  #pause(member: Member, forMs: number): void {
    this.#group.note(`${member.id} stalls for ${forMs.toFixed(0)} ms`);
    member.process.pause(forMs);
  }

  #partition(forMs: number): void {
    const sides = new Map(this.#group.members.map(({ id }) => [id, this.#random.unit() < 0.5]));
    const links = this.#group.members.flatMap(({ id: a }) =>
      this.#group.members.filter(({ id: b }) => sides.get(a) !== sides.get(b)).map(({ id: b }) => `${a}>${b}`),
    );
    this.#group.note(
      `partition ${[...sides].map(([id, side]) => `${id}${side ? '+' : '-'}`).join(' ')} for ${forMs.toFixed(0)} ms`,
    );
    this.#group.links.cutFor(links, forMs);
  }

  #isolate({ id }: Member, bothWays: boolean, forMs: number): void {
    this.#group.note(`${id} is ${bothWays ? 'isolated' : 'not receiving'} for ${forMs.toFixed(0)} ms`);
    const others = this.#group.members.filter((other) => other.id !== id);
    this.#group.links.cutFor(
      others.flatMap((other) => (bothWays ? [`${id}>${other.id}`, `${other.id}>${id}`] : [`${other.id}>${id}`])),
      forMs,
    );
  }

  #lossy(loss: number, duplicates: number, forMs: number): void {
    this.#group.note(`${Math.round(loss * 100)} % loss, ${Math.round(duplicates * 100)} % twice for ${forMs.toFixed(0)} ms`);
    this.#group.links.disturbFor(loss, duplicates, forMs);
  }

  #fillDisk(member: Member, forMs: number): void {
    this.#group.note(`the disk of ${member.id} is full for ${forMs.toFixed(0)} ms`);
    member.disk.full = true;
    this.#group.scheduler.after(forMs, () => {
      member.disk.full = false;
    });
  }

  #slowDisk(member: Member, writeMs: number, forMs: number): void {
    this.#group.note(`the disk of ${member.id} takes ${writeMs.toFixed(0)} ms for ${forMs.toFixed(0)} ms`);
    const before = member.disk.writeMs;
    member.disk.writeMs = writeMs;
    this.#group.scheduler.after(forMs, () => {
      member.disk.writeMs = Math.min(before, member.disk.writeMs);
    });
  }

  /** One voter more or fewer, or several through a joint configuration; never fewer than three. */
  #changeMembers(): void {
    const { log } = this.#group.leader ?? {};
    if (log === undefined) return;
    const voters = new Set(log.conf.voters);
    const changes: ConfChange[] = [];
    for (let i = this.#random.unit() < 0.5 ? 1 : 2; i > 0; i--) {
      const { id } = this.#group.members[Math.floor(this.#random.unit() * this.#group.members.length)] as Member;
      if (voters.has(id) && voters.size <= 3) continue;
      const isIn = voters.has(id);
      changes.push({
        type: isIn ? (this.#random.unit() < 0.3 ? 'ConfChangeAddLearnerNode' : 'ConfChangeRemoveNode') : 'ConfChangeAddNode',
        node: id,
      });
      if (isIn) voters.delete(id);
      else voters.add(id);
    }
    // A majority of them must be able to answer: no group survives the loss of its quorum.
    const healthy = [...voters].filter((id) => this.#group.members[id - 1]?.isHurt === false);
    if (changes.length === 0 || healthy.length <= Math.floor(voters.size / 2) + 1) return;
    this.#group.note(`change ${changes.map(({ type, node }) => `${type} ${node}`).join(', ')}`);
    try {
      log.changeConf({ ...LEAVE_JOINT, changes });
    } catch (error) {
      if (!(error instanceof LogUnavailable)) throw error;
    }
  }

  #transfer({ id }: Member): void {
    this.#group.note(`leadership is transferred to ${id}`);
    this.#group.leader?.log?.transferLeader(id);
  }

  /** Damages a record on one disk; only while the others have a quorum without it. */
  #damage(member: Member): void {
    const { log } = this.#group.leader ?? {};
    const voters = log?.conf.voters ?? [];
    if (voters.length < 5 || this.#group.members.some(({ isHurt }) => isHurt)) return;
    const keys = [...member.disk.content.keys()].filter((key) => key.startsWith('raft/')).sort();
    const key = keys[Math.floor(this.#random.unit() * keys.length)];
    const value = key === undefined ? undefined : member.disk.content.get(key);
    if (key === undefined || value === undefined) return;
    this.#group.note(`${key} of ${member.id} is damaged`);
    const broken = Uint8Array.from(value);
    const at = Math.floor(this.#random.unit() * broken.length);
    broken[at] = (broken[at] ?? 0) ^ (1 << Math.floor(this.#random.unit() * 8));
    this.#group.crash(member);
    member.isHurt = true;
    member.disk.content.set(key, broken);
    this.#group.scheduler.after(BOOT_MS, () => this.#group.boot(member));
  }
}
