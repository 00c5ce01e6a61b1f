// What the leader of the committee knows of possible voters, by their answers: their Raft ids and their vital signs. A member is unfit if it
// is unhealthy for long enough, or drained.
import { isFit, UNFIT_MS, type Vitals, vitalsFromWire, zoneOf } from '../../consensus/committee/fitness.ts';
import type { RaftIds } from '../../consensus/committee/raft-ids.ts';
import type { NodeId } from '../../consensus/raft/types.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';

const INVITE_WITHIN_MS = 3_000;
const INVITE_AGAIN_MS = 10_000;
/** Raft ids are requested again after this; vital signs of the committee after the next. */
const KNOWN_FOR_MS = 60_000;
const ASK_EVERY_MS = 30_000;
/** For a voter that the leader gets no messages from. */
const SILENT_KNOWN_FOR_MS = 10_000;
/** The successor of a leader whose event loop is late is less late by this factor. */
const MUCH_BETTER = 4;

export interface CandidatesEvents {
  request(to: PeerId, body: Uint8Array, withinMs: number): Promise<Uint8Array>;
  /** The vital signs of this agent. */
  vitals(): Vitals;
  /** Whether it is drained. */
  isDrained(peer: PeerId): boolean;
  answered(): void;
}

export class Candidates {
  readonly #self: PeerId;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #raftIds: RaftIds;
  readonly #events: CandidatesEvents;
  /** The Raft ids of others, and when they were received. */
  readonly #known = new Map<PeerId, { id: NodeId; upMs: number; atMs: number }>();
  /** The vital signs that members reported, and since when those are unhealthy. */
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

  /** Checks this agent now, and requests the vital signs of the committee each 30 s. */
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

  /** Drops Raft ids that are too old. @param silent voters that the leader gets no messages from */
  forgetOld(silent: ReadonlySet<NodeId>): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [peer, { id, atMs }] of this.#known)
      if (nowMs - atMs > (silent.has(id) ? SILENT_KNOWN_FOR_MS : KNOWN_FOR_MS)) this.#known.delete(peer);
  }

  /** Its Raft id, and for how long its agent has run. */
  knownOf(peer: PeerId): { id: NodeId; upMs: number } | undefined {
    const known = this.#known.get(peer);
    return known && { id: known.id, upMs: known.upMs + this.#clock.monotonicMs() - known.atMs };
  }

  domainOf(peer: PeerId): string {
    return this.#vitals.get(peer)?.domain ?? '';
  }

  /** The name of the failure domain with that number in statuses, if it is known here. */
  domainName(zone: number): string {
    const names = [this.#events.vitals(), ...this.#vitals.values()].map(({ domain }) => domain);
    return names.find((name) => zoneOf(name) === zone) ?? `zone ${zone}`;
  }

  isUnfit(peer: PeerId): boolean {
    const sinceMs = this.#unfitMs.get(peer);
    return this.#events.isDrained(peer) || (sinceMs !== undefined && this.#clock.monotonicMs() - sinceMs >= UNFIT_MS);
  }

  /** Whether its last vital signs are better by far, so that it is no coincidence. */
  doesBetter(peer: PeerId | undefined): boolean {
    const vitals = peer === undefined ? undefined : this.#vitals.get(peer);
    if (peer === undefined || vitals === undefined || !isFit(vitals) || this.isUnfit(peer)) return false;
    const own = this.#events.vitals();
    const isForLagAlone = isFit({ ...own, lagMs: 0 }) && !this.#events.isDrained(this.#self);
    return !isForLagAlone || vitals.lagMs * MUCH_BETTER < own.lagMs;
  }
}
