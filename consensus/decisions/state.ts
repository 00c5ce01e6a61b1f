// What the decisions so far come to. All who apply them in the log's order hold the same, byte by byte.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { StateMachine } from '../raft/machine.ts';
import type { EntryId } from '../raft/types.ts';
import { Budgets, budgetsSchema } from './budgets.ts';
import { bundlesSchema, newBundles } from './bundles.ts';
import { type Decision, decisionSchema } from './decision.ts';
import { Drains, drainsSchema } from './drains.ts';
import { Epochs, epochsSchema } from './epochs.ts';
import { Grants, grantsSchema } from './grants.ts';
import { type Placement, Placements, placementsSchema } from './placements.ts';
import { NOTHING_PUSHED } from './rollout.ts';
import { newUpgrades, upgradesSchema } from './upgrades.ts';

const VERSION = 2;
/** The newest, for whoever looks, for followers that are a little behind, and so that none is taken twice. */
const MAX_RECENT = 256;
const MAX_RECENT_BUNDLES = 4;
const MAX_PAUSED = 10_000;
const MAX_QUARANTINED = 1_000;
const MAX_SILENCES = 256;
/** Disruptive changes at once: one for each ten members, and one at least. */
const MEMBERS_PER_LEASE = 10;
const BUSY = 'under way already';
/** From so many members on, none while more than this share look sick: then something is wrong that no repair mends. */
const STORM_MEMBERS = 5;
const STORM_SHARE = 0.4;
export const MOST_LEASE_MS = 300_000;

export interface Decided extends EntryId {
  decision: Decision;
}

export interface Pause {
  peer: PeerId;
  by: PeerId;
  atMs: number;
  reason: string;
}

export interface SwarmSilence {
  id: string;
  by: PeerId;
  policy: string | null;
  target: string | null;
  untilMs: number;
  reason: string;
}

export interface Lease {
  id: string;
  peer: PeerId;
  plan: string;
  untilMs: number;
  /** The lease's place in the log: a later one has a higher fence. */
  fence: number;
}

/** `busy`: others come first, and it may be asked again soon. */
export type Outcome = { ok: true; index: number } | { ok: false; reason: string; busy?: boolean };

const peer = z.string();
const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const quarantineSchema = z.strictObject({ peer, by: peer, atMs: z.number(), first: bytes, second: bytes });
/** As it was decided: whoever goes by it looks at the proof. */
export type Quarantine = z.infer<typeof quarantineSchema>;

const stateSchema = z.tuple([
  z.union([z.literal(1), z.literal(VERSION)]),
  z.number().int().nonnegative(),
  z.array(z.tuple([z.number().int(), z.number().int(), decisionSchema])),
  z.array(z.strictObject({ peer, by: peer, atMs: z.number(), reason: z.string() })),
  z.array(
    z.strictObject({
      id: z.string(),
      by: peer,
      policy: z.string().nullable(),
      target: z.string().nullable(),
      untilMs: z.number(),
      reason: z.string(),
    }),
  ),
  z.array(z.strictObject({ id: z.string(), peer, plan: z.string(), untilMs: z.number(), fence: z.number() })),
  placementsSchema.default([]),
  bundlesSchema.optional(),
  grantsSchema.default([]),
  z.array(quarantineSchema).default([]),
  upgradesSchema.optional(),
  drainsSchema.default([]),
  budgetsSchema.default([]),
  epochsSchema.default(null),
]);

/** Disruptive changes that may be made at once. */
export const mostLeases = (members: number): number => Math.max(1, Math.floor(members / MEMBERS_PER_LEASE));

/** Something is wrong that no repair mends. */
export const isStorm = (members: number, sick: number): boolean => members >= STORM_MEMBERS && sick > members * STORM_SHARE;

export class DecisionState implements StateMachine<Decision, Outcome> {
  /** The place of the newest decision in the log. */
  index = 0;
  #recent: Decided[] = [];
  #paused = new Map<PeerId, Pause>();
  #silences = new Map<string, SwarmSilence>();
  #leases = new Map<string, Lease>();
  readonly #placements = new Placements();
  readonly bundles = newBundles();
  readonly upgrades = newUpgrades();
  readonly drains = new Drains();
  readonly budgets = new Budgets();
  readonly epochs = new Epochs();
  readonly grants = new Grants();
  #quarantined = new Map<PeerId, Quarantine>();

  parse(decoded: unknown): Decision | undefined {
    return decisionSchema.safeParse(decoded).data;
  }

  apply(decision: Decision, { index, term }: EntryId): Outcome {
    const known = this.#recent.find((one) => one.decision.id === decision.id);
    if (known !== undefined) return { ok: true, index: known.index };
    const why = this.#take(decision, index);
    if (why !== undefined) return { ok: false, reason: why, ...(why.endsWith(BUSY) && { busy: true }) };
    this.index = index;
    this.#recent.push({ index, term, decision });
    const bundles = decision.kind === 'bundle' ? this.#recent.filter((one) => one.decision.kind === 'bundle') : [];
    const [oldest] = bundles.length > MAX_RECENT_BUNDLES ? bundles : [];
    // They are large: what came before the oldest of a few is not kept.
    if (oldest !== undefined) this.#recent = this.#recent.slice(this.#recent.indexOf(oldest) + 1);
    if (this.#recent.length > MAX_RECENT) this.#recent.shift();
    return { ok: true, index };
  }

  /** @returns why it is not taken; nothing has changed then */
  #take(decision: Decision, index: number): string | undefined {
    const { by, atMs } = decision;
    switch (decision.kind) {
      case 'leads':
        return undefined;
      case 'epoch':
        return this.epochs.take(decision, index);
      case 'pause':
        if (this.#paused.size >= MAX_PAUSED) return `${MAX_PAUSED} agents are paused already`;
        this.#paused.set(decision.peer, { peer: decision.peer, by, atMs, reason: decision.reason });
        return undefined;
      case 'wake':
        return this.#paused.delete(decision.peer) ? undefined : 'it is not paused';
      case 'silence':
        return this.#silence(decision);
      case 'unsilence':
        return this.#silences.delete(decision.silence) ? undefined : 'there is no such silence';
      case 'lease':
        return this.#lease(decision, index);
      case 'release': {
        const lease = this.#leases.get(decision.lease);
        if (lease?.peer !== by) return 'there is no such lease of this member';
        this.#leases.delete(lease.id);
        return undefined;
      }
      case 'place':
        return this.#placements.place(decision, index);
      case 'unplace':
        return this.#placements.unplace(decision);
      case 'displace':
        return this.#placements.displace(decision);
      case 'move':
        return this.#placements.move(decision);
      case 'quarantine': {
        if (this.#quarantined.size >= MAX_QUARANTINED) return `${MAX_QUARANTINED} members are in quarantine already`;
        const { peer: witness, first, second } = decision;
        this.#quarantined.set(witness, { peer: witness, by, atMs, first, second });
        return undefined;
      }
      case 'pardon':
        return this.#quarantined.delete(decision.peer) ? undefined : 'it is not in quarantine';
      case 'grant':
        return this.grants.grant(decision);
      case 'revoke':
        return this.grants.revoke(decision);
      case 'drain':
        return this.drains.drain(decision);
      case 'undrain':
        return this.drains.undrain(decision);
      case 'budget':
        return this.budgets.set(decision);
      case 'unbudget':
        return this.budgets.lift(decision);
      case 'bundle':
        return this.#bundle(decision);
      case 'bundle-report':
        return this.bundles.report(decision.bundle, { peer: by, ok: decision.ok, reason: decision.reason });
      case 'bundle-advance':
        return this.#advance(decision);
      case 'bundle-withdraw':
        return this.bundles.withdraw({ id: decision.bundle, atMs }, decision.reason);
      case 'upgrade':
        return this.#upgrade(decision);
      case 'upgrade-report':
        return this.upgrades.report(decision.upgrade, { peer: by, ok: decision.ok, reason: decision.reason });
      case 'upgrade-advance':
        return this.upgrades.advanceTo({ id: decision.upgrade, atMs }, decision.next);
      case 'upgrade-withdraw':
        return this.upgrades.withdraw({ id: decision.upgrade, atMs }, decision.reason);
    }
  }

  #silence({ id, by, atMs, policy, target, untilMs, reason }: Extract<Decision, { kind: 'silence' }>): string | undefined {
    if (policy === null && target === null) return 'a silence names a policy, a target, or both';
    for (const one of [...this.#silences.values()]) if (one.untilMs <= atMs) this.#silences.delete(one.id);
    if (this.#silences.size >= MAX_SILENCES) return `there are ${MAX_SILENCES} silences already`;
    this.#silences.set(id, { id, by, policy, target, untilMs, reason });
    return undefined;
  }

  #bundle({ v: _v, kind: _kind, ...bundle }: Extract<Decision, { kind: 'bundle' }>): string | undefined {
    return this.bundles.push(bundle);
  }

  #advance({ bundle: id, atMs, next }: Extract<Decision, { kind: 'bundle-advance' }>): string | undefined {
    return next === undefined ? this.bundles.advance({ id, atMs }) : this.bundles.advanceTo({ id, atMs }, next);
  }

  #upgrade({ v: _v, kind: _kind, ...upgrade }: Extract<Decision, { kind: 'upgrade' }>): string | undefined {
    return this.upgrades.push(upgrade);
  }

  #lease(
    { id, by, atMs, plan, members, sick, untilMs }: Extract<Decision, { kind: 'lease' }>,
    index: number,
  ): string | undefined {
    if (untilMs - atMs > MOST_LEASE_MS) return `a lease lasts ${MOST_LEASE_MS / 60_000} minutes at most`;
    if (isStorm(members, sick)) return `${sick} of ${members} members look sick: nothing disruptive is done`;
    for (const one of [...this.#leases.values()]) if (one.untilMs <= atMs) this.#leases.delete(one.id);
    const most = mostLeases(members);
    if (this.#leases.size >= most) return `${most} disruptive ${most === 1 ? 'change is' : 'changes are'} ${BUSY}`;
    if ([...this.#leases.values()].some((one) => one.plan === plan)) return `${plan} has a lease already`;
    this.#leases.set(id, { id, peer: by, plan, untilMs, fence: index });
    return undefined;
  }

  // What holds

  pauseOf(peer: PeerId): Pause | undefined {
    return this.#paused.get(peer);
  }

  paused(): Pause[] {
    return [...this.#paused.values()];
  }

  silences(nowMs: number): SwarmSilence[] {
    return [...this.#silences.values()].filter(({ untilMs }) => untilMs > nowMs);
  }

  /** The one that covers a finding; undefined where none does. */
  silenceOn(policy: string, target: string, nowMs: number): SwarmSilence | undefined {
    return this.silences(nowMs).find((one) => (one.policy ?? policy) === policy && (one.target ?? target) === target);
  }

  /** None lasts for longer than it was given for: what ends later was dated by a clock that has been set back since. */
  leases(nowMs: number): Lease[] {
    return [...this.#leases.values()].filter(({ untilMs }) => untilMs > nowMs && untilMs - nowMs <= MOST_LEASE_MS);
  }

  quarantined(): Quarantine[] {
    return [...this.#quarantined.values()];
  }

  placements(): readonly Placement[] {
    return this.#placements.all();
  }

  placementOf(service: string): Placement | undefined {
    return this.#placements.of(service);
  }

  /** The newest decisions, the oldest first. */
  recent(): readonly Decided[] {
    return this.#recent;
  }

  /** What came after a place; undefined where that is further back than is kept. */
  since(index: number): Decided[] | undefined {
    if (index === this.index) return [];
    const from = this.#recent.findIndex((one) => one.index === index);
    return from < 0 ? undefined : this.#recent.slice(from + 1);
  }

  // As bytes

  encode(): Uint8Array {
    const sorted = <T>(all: Map<string, T>): T[] => [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
    const fields = [
      VERSION,
      this.index,
      this.#recent.map(({ index, term, decision }) => [index, term, decision]),
      sorted(this.#paused),
      sorted(this.#silences),
      sorted(this.#leases),
      this.#placements.encodable(),
      this.bundles.state,
      this.grants.encodable(),
      sorted(this.#quarantined),
    ];
    // As the version before has it, as long as there is nothing of what that did not know.
    const { upgrades, drains, budgets, epochs } = this;
    const since: [unknown, boolean][] = [
      [upgrades.state, upgrades.isBlank],
      [drains.encodable(), drains.isBlank],
      [budgets.all(), budgets.isBlank],
      [epochs.newest, epochs.newest === null],
    ];
    // Of two that a version before has, the second is there where the first is.
    const known = since.findLastIndex(([, isBlank]) => !isBlank) + 1;
    const written = since.slice(0, known === 1 ? 2 : known).map(([value]) => value);
    return encodeCbor([...fields, ...written]);
  }

  restore(data: Uint8Array): void {
    const parsed = stateSchema.safeParse(data.length === 0 ? [VERSION, 0, [], [], [], []] : decodeCbor(data));
    if (!parsed.success) throw new RangeError('no state of decisions');
    const [
      ,
      index,
      recent,
      paused,
      silences,
      leases,
      placements,
      bundles,
      grants,
      quarantined,
      upgrades,
      drains,
      budgets,
      epoch,
    ] = parsed.data;
    this.index = index;
    this.#recent = recent.map(([at, term, decision]) => ({ index: at, term, decision }));
    this.#paused = new Map(paused.map((one) => [one.peer, one]));
    this.#silences = new Map(silences.map((one) => [one.id, one]));
    this.#leases = new Map(leases.map((one) => [one.id, one]));
    this.#placements.restore(placements);
    this.bundles.restore(bundles ?? NOTHING_PUSHED);
    this.upgrades.restore(upgrades ?? NOTHING_PUSHED);
    this.drains.restore(drains);
    this.budgets.restore(budgets);
    this.epochs.newest = epoch;
    this.grants.restore(grants);
    this.#quarantined = new Map(quarantined.map((one) => [one.peer, one]));
  }
}
