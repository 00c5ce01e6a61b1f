// What members answer when the leader of the committee asks them: what they go by in Raft, and how they do. Whoever is not well for long
// enough is unfit, and so is whoever the swarm has drained.
import { isFit, UNFIT_MS, type Vitals, vitalsFromWire, zoneOf } from '../../consensus/committee/fitness.ts';
import type { RaftIds } from '../../consensus/committee/raft-ids.ts';
import type { NodeId } from '../../consensus/raft/types.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';

const INVITE_WITHIN_MS = 3_000;
const INVITE_AGAIN_MS = 10_000;
/** What one goes by in Raft is asked again after this; and those who belong to it, how they do. */
const KNOWN_FOR_MS = 60_000;
const ASK_EVERY_MS = 30_000;
/** Of a voter that says nothing, though it is there. */
const SILENT_KNOWN_FOR_MS = 10_000;
/** The successor of a leader whose loop is late is less late by this factor. */
const MUCH_BETTER = 4;

export interface CandidatesEvents {
  request(to: PeerId, body: Uint8Array, withinMs: number): Promise<Uint8Array>;
  /** How this agent does itself. */
  vitals(): Vitals;
  /** The swarm has decided that nothing is to depend on it. */
  isDrained(peer: PeerId): boolean;
  answered(): void;
}

export class Candidates {
  readonly #self: PeerId;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #raftIds: RaftIds;
  readonly #events: CandidatesEvents;
  /** What others said that they go by, and when. */
  readonly #known = new Map<PeerId, { id: NodeId; upMs: number; atMs: number }>();
  /** How others do, by their own word, and since when that is not well. */
  readonly #vitals = new Map<PeerId, Vitals>();
  readonly #unfitMs = new Map<PeerId, number>();
  readonly #invitedMs = new Map<PeerId, number>();
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(self: PeerId, clock: Pick<Clock, 'monotonicMs'>, raftIds: RaftIds, events: CandidatesEvents) {
    this.#self = self;
    this.#clock = clock;
    this.#raftIds = raftIds;
    this.#events = events;
  }

  /** Judges this agent now, and asks those who belong to the committee now and then. */
  look(seated: readonly PeerId[]): void {
    const nowMs = this.#clock.monotonicMs();
    this.#judge(this.#self, this.#events.vitals());
    if (nowMs - this.#askedMs < ASK_EVERY_MS) return;
    this.#askedMs = nowMs;
    this.invite(seated.filter((peer) => peer !== this.#self));
  }

  invite(peers: readonly PeerId[]): void {
    const nowMs = this.#clock.monotonicMs();
    for (const peer of peers) {
      if (nowMs - (this.#invitedMs.get(peer) ?? Number.NEGATIVE_INFINITY) < INVITE_AGAIN_MS) continue;
      this.#invitedMs.set(peer, nowMs);
      this.#events.request(peer, encodeCbor('invite'), INVITE_WITHIN_MS).then(
        (answer) => this.#answered(peer, answer),
        () => undefined, // again after a while
      );
    }
  }

  #answered(peer: PeerId, answer: Uint8Array): void {
    const decoded = decodeCbor(answer);
    const [id, upMs, vitals] = Array.isArray(decoded) ? decoded : [];
    if (!Number.isSafeInteger(id) || typeof upMs !== 'number' || !this.#raftIds.isOf(Number(id), peer)) return;
    this.#invitedMs.delete(peer);
    this.#known.set(peer, { id: Number(id), upMs, atMs: this.#clock.monotonicMs() });
    this.#judge(peer, vitalsFromWire(vitals));
    this.#events.answered();
  }

  #judge(peer: PeerId, vitals: Vitals): void {
    this.#vitals.set(peer, vitals);
    if (isFit(vitals)) this.#unfitMs.delete(peer);
    else if (!this.#unfitMs.has(peer)) this.#unfitMs.set(peer, this.#clock.monotonicMs());
  }

  /** What is too old to go by is forgotten. @param silent voters that say nothing to the leader */
  forgetOld(silent: ReadonlySet<NodeId>): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [peer, { id, atMs }] of this.#known)
      if (nowMs - atMs > (silent.has(id) ? SILENT_KNOWN_FOR_MS : KNOWN_FOR_MS)) this.#known.delete(peer);
  }

  /** What it goes by in Raft, and for how long its agent has run. */
  knownOf(peer: PeerId): { id: NodeId; upMs: number } | undefined {
    const known = this.#known.get(peer);
    return known && { id: known.id, upMs: known.upMs + this.#clock.monotonicMs() - known.atMs };
  }

  domainOf(peer: PeerId): string {
    return this.#vitals.get(peer)?.domain ?? '';
  }

  /** What a status's zone is called, where that is known here. */
  domainName(zone: number): string {
    const names = [this.#events.vitals(), ...this.#vitals.values()].map(({ domain }) => domain);
    return names.find((name) => zoneOf(name) === zone) ?? `zone ${zone}`;
  }

  isUnfit(peer: PeerId): boolean {
    const sinceMs = this.#unfitMs.get(peer);
    return this.#events.isDrained(peer) || (sinceMs !== undefined && this.#clock.monotonicMs() - sinceMs >= UNFIT_MS);
  }

  /** By what it said of late, and by far: it is to be no accident. */
  doesBetter(peer: PeerId | undefined): boolean {
    const vitals = peer === undefined ? undefined : this.#vitals.get(peer);
    if (peer === undefined || vitals === undefined || !isFit(vitals) || this.isUnfit(peer)) return false;
    const own = this.#events.vitals();
    const isForLagAlone = isFit({ ...own, lagMs: 0 }) && !this.#events.isDrained(this.#self);
    return !isForLagAlone || vitals.lagMs * MUCH_BETTER < own.lagMs;
  }
}
