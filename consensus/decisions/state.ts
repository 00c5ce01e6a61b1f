// The state that the decisions so far have led to. All members that apply them in the log's order have the same state, byte for byte.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { StateMachine } from '../raft/machine.ts';
import type { EntryId } from '../raft/types.ts';
import { budgetsSchema } from './budgets.ts';
import { bundlesSchema } from './bundles.ts';
import { type Decision, decisionSchema } from './decision.ts';
import { drainsSchema } from './drains.ts';
import { epochsSchema } from './epochs.ts';
import { grantsSchema } from './grants.ts';
import { Decreed, kindOf, type Pause, type Quarantine } from './kinds.ts';
import { BUSY, type Lease } from './leases.ts';
import { type Placement, placementsSchema } from './placements.ts';
import { NOTHING_PUSHED } from './rollout.ts';
import type { SwarmSilence } from './silences.ts';
import { upgradesSchema } from './upgrades.ts';

const VERSION = 2;
/** The newest decisions: for readers, for followers that are a little behind, and so that none applies twice. */
const MAX_RECENT = 256;
const MAX_RECENT_BUNDLES = 4;

export interface Decided extends EntryId {
  decision: Decision;
}

/** `busy`: refused for now; the proposer may try again soon. */
export type Outcome = { ok: true; index: number } | { ok: false; reason: string; busy?: boolean };

const peer = z.string();
const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const quarantineSchema = z.strictObject({ peer, by: peer, atMs: z.number(), first: bytes, second: bytes });

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

export class DecisionState implements StateMachine<Decision, Outcome> {
  /** The index of the newest decision in the log. */
  index = 0;
  #recent: Decided[] = [];
  readonly #decreed = new Decreed();

  parse(decoded: unknown): Decision | undefined {
    return decisionSchema.safeParse(decoded).data;
  }

  apply(decision: Decision, { index, term }: EntryId): Outcome {
    const known = this.#recent.find((one) => one.decision.id === decision.id);
    if (known !== undefined) return { ok: true, index: known.index };
    const why = kindOf(decision).apply(this.#decreed, decision, index);
    if (why !== undefined) return { ok: false, reason: why, ...(why.endsWith(BUSY) && { busy: true }) };
    this.index = index;
    this.#recent.push({ index, term, decision });
    const bundles = decision.kind === 'bundle' ? this.#recent.filter((one) => one.decision.kind === 'bundle') : [];
    const [oldest] = bundles.length > MAX_RECENT_BUNDLES ? bundles : [];
    // Bundles are large: only the last few stay, and no decision from before the oldest of them.
    if (oldest !== undefined) this.#recent = this.#recent.slice(this.#recent.indexOf(oldest) + 1);
    if (this.#recent.length > MAX_RECENT) this.#recent.shift();
    return { ok: true, index };
  }

  // What is in force

  get bundles() {
    return this.#decreed.bundles;
  }

  get upgrades() {
    return this.#decreed.upgrades;
  }

  get drains() {
    return this.#decreed.drains;
  }

  get budgets() {
    return this.#decreed.budgets;
  }

  get epochs() {
    return this.#decreed.epochs;
  }

  get grants() {
    return this.#decreed.grants;
  }

  pauseOf(peer: PeerId): Pause | undefined {
    return this.#decreed.paused.get(peer);
  }

  paused(): Pause[] {
    return [...this.#decreed.paused.values()];
  }

  silences(nowMs: number): SwarmSilence[] {
    return this.#decreed.silences.all(nowMs);
  }

  /** The silence that covers a finding; undefined if none does. */
  silenceOn(policy: string, target: string, nowMs: number): SwarmSilence | undefined {
    return this.#decreed.silences.on(policy, target, nowMs);
  }

  leases(nowMs: number): Lease[] {
    return this.#decreed.leases.all(nowMs);
  }

  quarantined(): Quarantine[] {
    return [...this.#decreed.quarantined.values()];
  }

  placements(): readonly Placement[] {
    return this.#decreed.placements.all();
  }

  placementOf(service: string): Placement | undefined {
    return this.#decreed.placements.of(service);
  }

  /** The newest decisions, the oldest first. */
  recent(): readonly Decided[] {
    return this.#recent;
  }

  /** The decisions after an index; undefined if that is older than the oldest one that is kept. */
  since(index: number): Decided[] | undefined {
    if (index === this.index) return [];
    const from = this.#recent.findIndex((one) => one.index === index);
    return from < 0 ? undefined : this.#recent.slice(from + 1);
  }

  // As bytes

  encode(): Uint8Array {
    const byKey = <T>(all: Map<string, T>): T[] => [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
    const byId = <T extends { id: string }>(all: T[]): T[] => all.sort((a, b) => (a.id < b.id ? -1 : 1));
    const { paused, quarantined, silences, leases, placements, bundles, grants } = this.#decreed;
    const fields = [
      VERSION,
      this.index,
      this.#recent.map(({ index, term, decision }) => [index, term, decision]),
      byKey(paused),
      byId(silences.encodable()),
      byId(leases.encodable()),
      placements.encodable(),
      bundles.state,
      grants.encodable(),
      byKey(quarantined),
    ];
    // In the layout of the previous version, while there is nothing that it does not know.
    const { upgrades, drains, budgets, epochs } = this.#decreed;
    const since: [unknown, boolean][] = [
      [upgrades.state, upgrades.isBlank],
      [drains.encodable(), drains.isBlank],
      [budgets.all(), budgets.isBlank],
      [epochs.newest, epochs.newest === null],
    ];
    // Two fields of the previous version come together: if the first is present, so is the second.
    const known = since.findLastIndex(([, isBlank]) => !isBlank) + 1;
    const written = since.slice(0, known === 1 ? 2 : known).map(([value]) => value);
    return encodeCbor([...fields, ...written]);
  }

  restore(data: Uint8Array): void {
    const parsed = stateSchema.safeParse(data.length === 0 ? [VERSION, 0, [], [], [], []] : decodeCbor(data));
    if (!parsed.success) throw new RangeError('not a decision state');
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
    const decreed = this.#decreed;
    decreed.paused = new Map(paused.map((one) => [one.peer, one]));
    decreed.silences.restore(silences);
    decreed.leases.restore(leases);
    decreed.placements.restore(placements);
    decreed.bundles.restore(bundles ?? NOTHING_PUSHED);
    decreed.upgrades.restore(upgrades ?? NOTHING_PUSHED);
    decreed.drains.restore(drains);
    decreed.budgets.restore(budgets);
    decreed.epochs.newest = epoch;
    decreed.grants.restore(grants);
    decreed.quarantined = new Map(quarantined.map((one) => [one.peer, one]));
  }
}
