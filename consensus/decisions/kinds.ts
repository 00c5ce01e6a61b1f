// The table of decision kinds, one row a kind: since which version it is known, who may propose it, what the leader sets in it, what it
// changes, and its words. Its shape is in decision.ts. A kind without a complete row does not compile.
import type { PeerId } from '../../swarm/ports/transport.ts';
import { counted } from '../../swarm/words.ts';
import { Budgets } from './budgets.ts';
import { newBundles } from './bundles.ts';
import type { Decision } from './decision.ts';
import { Drains } from './drains.ts';
import { Epochs } from './epochs.ts';
import { Grants } from './grants.ts';
import { Leases } from './leases.ts';
import { Placements } from './placements.ts';
import { SwarmSilences } from './silences.ts';
import { newUpgrades } from './upgrades.ts';

const MAX_PAUSED = 10_000;
const MAX_QUARANTINED = 1_000;

export type Kind = Decision['kind'];
export type Of<K extends Kind> = Extract<Decision, { kind: K }>;

export interface Pause {
  peer: PeerId;
  by: PeerId;
  atMs: number;
  reason: string;
}

/** As it was decided: a member checks the proof before it relies on it. */
export interface Quarantine {
  peer: PeerId;
  by: PeerId;
  atMs: number;
  first: Uint8Array;
  second: Uint8Array;
}

/** The state that the decisions so far have led to. */
export class Decreed {
  paused = new Map<PeerId, Pause>();
  quarantined = new Map<PeerId, Quarantine>();
  readonly silences = new SwarmSilences();
  readonly leases = new Leases();
  readonly placements = new Placements();
  readonly bundles = newBundles();
  readonly upgrades = newUpgrades();
  readonly drains = new Drains();
  readonly budgets = new Budgets();
  readonly epochs = new Epochs();
  readonly grants = new Grants();
}

/** What the leader sets, and not the proposer: else a wrong clock would end the leases of others. */
export interface Stamping {
  /** The same time from now as the proposal asked for. */
  later(untilMs: number): number;
  health(): { members: number; sick: number };
  /** Whether an issuer requested it for another member, without a certificate. */
  isByPerson(drain: Of<'drain'>): boolean;
}

/** Who may propose it. `member`: any, for itself. `issuer`: one that may decide about others. */
type Who = 'member' | 'issuer' | 'leader' | 'leader or issuer';
type NameOf = (peer: PeerId) => string;

interface KindRow<One extends Decision> {
  /** The first version of KALOS with this shape: it is not decided while a member runs an older one. Undefined: 0.1.0. */
  since: string | undefined;
  who: Who;
  /** What the leader sets, besides the time. */
  stamp(decision: One, stamping: Stamping): Partial<One>;
  /** @returns a refusal, after which nothing has changed; undefined if it was applied */
  apply(decreed: Decreed, decision: One, index: number): string | undefined;
  words(decision: One, nameOf: NameOf): string;
}

const asIs = (): object => ({});
const short = (id: string): string => id.slice(0, 8);
const machineOf = (peer: PeerId | null, nameOf: NameOf): string =>
  peer === null ? 'each machine without its own budget' : nameOf(peer);
const EFFECTS = { deny: 'may not use', act: 'may use without approval', approve: 'has a standing approval for' } as const;

const KINDS: { readonly [K in Kind]: KindRow<Of<K>> } = {
  leads: {
    since: undefined,
    who: 'leader',
    stamp: asIs,
    apply: () => undefined,
    words: ({ by }, nameOf) => `${nameOf(by)} is leader`,
  },
  epoch: {
    since: '0.3.0',
    who: 'leader',
    stamp: asIs,
    apply: ({ epochs }, decision, index) => epochs.take(decision, index),
    words: ({ members }) => `membership changed: ${counted(members, 'member')}`,
  },
  pause: {
    since: undefined,
    who: 'issuer',
    stamp: asIs,
    apply: ({ paused }, { peer, by, atMs, reason }) => {
      if (paused.size >= MAX_PAUSED) return `${MAX_PAUSED} agents are paused already: end a pause with kalos wake first`;
      paused.set(peer, { peer, by, atMs, reason });
      return undefined;
    },
    words: ({ peer, reason }, nameOf) => `${nameOf(peer)} is paused: ${reason}`,
  },
  wake: {
    since: undefined,
    who: 'issuer',
    stamp: asIs,
    apply: ({ paused }, { peer }) => (paused.delete(peer) ? undefined : 'the member is not paused'),
    words: ({ peer, reason }, nameOf) => `${nameOf(peer)} is resumed: ${reason}`,
  },
  silence: {
    since: undefined,
    who: 'issuer',
    stamp: ({ untilMs }, { later }) => ({ untilMs: later(untilMs) }),
    apply: ({ silences }, decision) => silences.add(decision),
    words: ({ policy, target, untilMs, reason }) =>
      `${policy ?? 'every policy'}${target === null ? '' : ` on ${target}`} is silenced until ${new Date(untilMs).toISOString()}: ${reason}`,
  },
  unsilence: {
    since: undefined,
    who: 'issuer',
    stamp: asIs,
    apply: ({ silences }, { silence }) => silences.lift(silence),
    words: ({ silence }) => `silence ${silence} is removed`,
  },
  lease: {
    since: undefined,
    who: 'member',
    stamp: ({ untilMs }, { health, later }) => ({ ...health(), untilMs: later(untilMs) }),
    apply: ({ leases }, decision, index) => leases.take(decision, index),
    words: ({ by, plan }, nameOf) => `${nameOf(by)} has the lease for ${plan}`,
  },
  release: {
    since: undefined,
    who: 'member',
    stamp: asIs,
    apply: ({ leases }, decision) => leases.giveBack(decision),
    words: ({ by, lease }, nameOf) => `${nameOf(by)} released lease ${lease}`,
  },
  place: {
    since: undefined,
    who: 'member',
    stamp: asIs,
    apply: ({ placements }, decision, index) => placements.place(decision, index),
    words: ({ by, service }, nameOf) => `${nameOf(by)} runs ${service}`,
  },
  unplace: {
    since: undefined,
    who: 'member',
    stamp: ({ unfitUntilMs }, { later }) => ({ unfitUntilMs: unfitUntilMs === null ? null : later(unfitUntilMs) }),
    apply: ({ placements }, decision) => placements.unplace(decision),
    words: ({ by, service, reason }, nameOf) => `${nameOf(by)} releases ${service}: ${reason}`,
  },
  displace: {
    since: undefined,
    who: 'leader',
    stamp: asIs,
    apply: ({ placements }, decision) => placements.displace(decision),
    words: ({ service, reason }) => `${service} is no longer placed: ${reason}`,
  },
  move: {
    since: undefined,
    who: 'leader or issuer',
    stamp: asIs,
    apply: ({ placements }, decision) => placements.move(decision),
    words: ({ service, reason }) => `${service} must move: ${reason}`,
  },
  quarantine: {
    since: undefined,
    who: 'member',
    stamp: asIs,
    apply: ({ quarantined }, { peer, by, atMs, first, second }) => {
      if (quarantined.size >= MAX_QUARANTINED) return `${MAX_QUARANTINED} members are in quarantine already: pardon one first`;
      quarantined.set(peer, { peer, by, atMs, first, second });
      return undefined;
    },
    words: ({ peer }, nameOf) => `${nameOf(peer)} signed two different votes: it is in quarantine`,
  },
  pardon: {
    since: undefined,
    who: 'issuer',
    stamp: asIs,
    apply: ({ quarantined }, { peer }) => (quarantined.delete(peer) ? undefined : 'the member is not in quarantine'),
    words: ({ peer, reason }, nameOf) => `${nameOf(peer)} may be a witness again: ${reason}`,
  },
  grant: {
    since: undefined,
    who: 'issuer',
    stamp: asIs,
    apply: ({ grants }, decision) => grants.grant(decision),
    words: ({ peer, effect, tool, target, reason }, nameOf) =>
      `${nameOf(peer)} ${EFFECTS[effect]} ${tool} on ${target ?? 'anything'}: ${reason}`,
  },
  revoke: {
    since: undefined,
    who: 'issuer',
    stamp: asIs,
    apply: ({ grants }, { grant }) => grants.revoke(grant),
    words: ({ grant, reason }) => `grant ${short(grant)} is revoked: ${reason}`,
  },
  drain: {
    since: '0.2.0',
    who: 'member',
    stamp: (decision, { health, isByPerson }) => ({ members: health().members, isOrdered: isByPerson(decision) }),
    apply: ({ drains }, decision) => drains.drain(decision),
    words: ({ peer, forMs, reason }, nameOf) =>
      `${nameOf(peer)} is drained for ${counted(Math.round(forMs / 60_000), 'minute')}: ${reason}`,
  },
  undrain: {
    since: '0.2.0',
    who: 'member',
    stamp: asIs,
    apply: ({ drains }, { peer }) => drains.undrain(peer),
    words: ({ peer, reason }, nameOf) => `${nameOf(peer)} is undrained: ${reason}`,
  },
  budget: {
    since: '0.3.0',
    who: 'issuer',
    stamp: asIs,
    apply: ({ budgets }, decision) => budgets.set(decision),
    words: ({ peer, changes, withinMs, reason }, nameOf) =>
      `policies may make ${counted(changes, 'change')} in ${counted(withinMs / 60_000, 'minute')} on ${machineOf(peer, nameOf)}: ${reason}`,
  },
  unbudget: {
    since: '0.3.0',
    who: 'issuer',
    stamp: asIs,
    apply: ({ budgets }, { peer }) => budgets.lift(peer),
    words: ({ peer, reason }, nameOf) => `the budget of ${machineOf(peer, nameOf)} is removed: ${reason}`,
  },
  bundle: {
    since: '0.3.0',
    who: 'issuer',
    stamp: asIs,
    apply: ({ bundles }, { v: _v, kind: _kind, ...bundle }) => bundles.push(bundle),
    words: ({ id, canary }, nameOf) => `canaries ${canary.map(nameOf).join(', ')} try bundle ${short(id)}`,
  },
  'bundle-report': {
    since: undefined,
    who: 'member',
    stamp: asIs,
    apply: ({ bundles }, { bundle, by, ok, reason }) => bundles.report(bundle, { peer: by, ok, reason }),
    words: ({ bundle, by, ok, reason }, nameOf) =>
      `bundle ${short(bundle)} ${ok ? 'works' : 'fails'} on ${nameOf(by)}${ok ? '' : `: ${reason}`}`,
  },
  'bundle-advance': {
    since: undefined,
    who: 'leader',
    stamp: asIs,
    apply: ({ bundles }, { bundle: id, atMs, next }) =>
      next === undefined ? bundles.advance({ id, atMs }) : bundles.advanceTo({ id, atMs }, next),
    words: ({ bundle }) => `bundle ${short(bundle)} advances`,
  },
  'bundle-withdraw': {
    since: undefined,
    who: 'leader or issuer',
    stamp: asIs,
    apply: ({ bundles }, { bundle: id, atMs, reason }) => bundles.withdraw({ id, atMs }, reason),
    words: ({ bundle, reason }) => `bundle ${short(bundle)} is rolled back: ${reason}`,
  },
  upgrade: {
    since: '0.3.0',
    who: 'issuer',
    stamp: asIs,
    apply: ({ upgrades }, { v: _v, kind: _kind, ...upgrade }) => upgrades.push(upgrade),
    words: ({ by, version, digest, canary }, nameOf) =>
      `${nameOf(by)} pushes KALOS ${version} (${short(digest)}), canaries ${canary.map(nameOf).join(', ')}`,
  },
  'upgrade-report': {
    since: '0.2.0',
    who: 'member',
    stamp: asIs,
    apply: ({ upgrades }, { upgrade, by, ok, reason }) => upgrades.report(upgrade, { peer: by, ok, reason }),
    words: ({ upgrade, by, ok, reason }, nameOf) =>
      `${nameOf(by)} on release ${short(upgrade)}: ${ok ? reason || 'works' : reason}`,
  },
  'upgrade-advance': {
    since: '0.2.0',
    who: 'leader',
    stamp: asIs,
    apply: ({ upgrades }, { upgrade: id, atMs, next }) => upgrades.advanceTo({ id, atMs }, next),
    words: ({ upgrade, next }, nameOf) =>
      `release ${short(upgrade)} advances to ${next.length === 0 ? 'all others' : next.map(nameOf).join(', ')}`,
  },
  'upgrade-withdraw': {
    since: '0.2.0',
    who: 'leader or issuer',
    stamp: asIs,
    apply: ({ upgrades }, { upgrade: id, atMs, reason }) => upgrades.withdraw({ id, atMs }, reason),
    words: ({ upgrade, reason }) => `release ${short(upgrade)} is rolled back: ${reason}`,
  },
};

/** The row of a decision's kind. */
export function kindOf<One extends Decision>({ kind }: One): KindRow<One> {
  return KINDS[kind] as unknown as KindRow<One>;
}

/** A decision in words. */
export const describeDecision = (decision: Decision, nameOf: NameOf): string => kindOf(decision).words(decision, nameOf);
