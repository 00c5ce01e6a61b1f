// The decisions of the swarm, as this agent knows them: it requests decisions and, while it is leader, proposes those of others. Its parts:
// the checkpoints, how they are followed and read, and the decisions whose proof this agent has verified.
import { type Decision, decisionSchema, type Wish, wished } from '../../consensus/decisions/decision.ts';
import { drainBytes } from '../../consensus/decisions/drains.ts';
import type { DecisionState, Outcome } from '../../consensus/decisions/state.ts';
import { LogUnavailable } from '../../consensus/raft/requests.ts';
import type { Equivocation } from '../../consensus/vote/equivocation.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { messageOf } from '../../swarm/words.ts';
import { wordsOf } from '../issue-words.ts';
import type { Ports } from '../ports/ports.ts';
import { type CheckpointEvents, Checkpoints } from './checkpoints.ts';
import type { Committee } from './committee.ts';
import { Follower } from './follower.ts';
import { KeptPlacements, keptSchema } from './kept-placements.ts';
import type { AskMember, Members } from './members.ts';
import type { DecisionLog } from './own-log.ts';
import { drawId, Proposals } from './proposals.ts';
import { Proven } from './proven.ts';
import { leaderless, Reads } from './reads.ts';

const REQUEST_MS = 2_000;
const ACCUSE_WITHIN_MS = 60_000;
const AGAIN_MS = 250;

export interface DecisionsEvents extends CheckpointEvents {
  request: AskMember;
}

export class Decisions {
  readonly #ports: Ports;
  readonly #swarmId: string;
  readonly #members: Members;
  readonly #committee: Committee;
  readonly #events: DecisionsEvents;
  readonly checkpoints: Checkpoints;
  readonly follower: Follower;
  readonly reads: Reads;
  readonly proven: Proven;
  readonly placements: KeptPlacements;
  readonly #proposals: Proposals;
  #stopped = false;

  /** @param ports with the swarm's clock */
  constructor(ports: Ports, swarmId: string, members: Members, committee: Committee, events: DecisionsEvents) {
    this.#ports = ports;
    this.#swarmId = swarmId;
    this.#members = members;
    this.#committee = committee;
    this.#events = events;
    const { request } = events;
    this.checkpoints = new Checkpoints(ports, swarmId, committee, events);
    this.follower = new Follower(ports, swarmId, members, committee, this.checkpoints, events);
    this.reads = new Reads(ports, committee, this.checkpoints, this.follower, request);
    this.proven = new Proven(ports.crypto, swarmId, members, this.checkpoints, () => this.wallMs());
    this.placements = new KeptPlacements(ports, committee, this.reads, request);
    this.#proposals = new Proposals(ports, swarmId, members, committee.log, this.checkpoints, this.proven);
  }

  stop(): void {
    this.#stopped = true;
    this.checkpoints.stop();
    this.follower.stop();
  }

  /** The newest state that is known here; the returned object changes with time. */
  get state(): DecisionState {
    return this.checkpoints.state;
  }

  /** The time by which decisions begin and end. */
  wallMs(): number {
    return this.#ports.clock.wallMs();
  }

  // Requests for decisions

  /** Drains a member, on request of this one or of a person here. */
  drain(peer: PeerId, forMs: number, reason: string, withinMs: number): Promise<Outcome> {
    const { crypto } = this.#ports;
    const wishedMs = Math.round(this.wallMs());
    const proof = crypto.sign(drainBytes(this.#swarmId, { by: crypto.self, peer, forMs, wishedMs }));
    return this.decide({ kind: 'drain', peer, forMs, wishedMs, proof, members: 1, isOrdered: false, reason }, withinMs);
  }

  /** Has a witness quarantined that signed two different votes. */
  accuse(peer: PeerId, { first, second }: Equivocation): void {
    this.#events.log('warn', `${this.#members.nameOf(peer)} signed two different votes on one claim`);
    if (this.proven.quarantined().has(peer)) return;
    this.decide({ kind: 'quarantine', peer, first, second }, ACCUSE_WITHIN_MS).catch(() => undefined); // its next such vote accuses it again
  }

  /** Requests a decision, again under the same id until there is a leader. @throws LogUnavailable */
  async decide(wish: Wish, timeoutMs: number): Promise<Outcome> {
    const { clock, random, crypto } = this.#ports;
    const decision = wished(wish, crypto.self, drawId(random), this.wallMs());
    const parsed = decisionSchema.safeParse(decision);
    if (!parsed.success) return { ok: false, reason: wordsOf(parsed.error, decision, decisionSchema) };
    const untilMs = clock.monotonicMs() + timeoutMs;
    for (let why = leaderless(this.#committee); ; ) {
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs <= 0 || this.#stopped) throw new LogUnavailable(why, true);
      try {
        const outcome = await this.#propose(decision, Math.min(leftMs, REQUEST_MS));
        if (outcome !== undefined) return outcome;
      } catch (error) {
        why = messageOf(error);
      }
      await new Promise<void>((resolve) => clock.after(Math.min(AGAIN_MS, Math.max(1, leftMs)), resolve));
    }
  }

  async #propose(decision: Decision, timeoutMs: number): Promise<Outcome | undefined> {
    const { coordinator } = this.#committee;
    if (coordinator === undefined) return undefined;
    if (coordinator === this.#ports.crypto.self) return this.#proposals.take(decision.by, decision, timeoutMs);
    const answer = decodeCbor(await this.#events.request(coordinator, encodeCbor(['propose', decision]), timeoutMs));
    const [ok, what, busy] = Array.isArray(answer) ? answer : [];
    if (ok === true && typeof what === 'number') {
      this.follower.lookFor(what);
      return { ok: true, index: what };
    }
    return { ok: false, reason: String(what), busy: busy === true };
  }

  /** Each second while this agent leads: it announces that, and releases placements that no member keeps. */
  leading(log: DecisionLog): void {
    for (const { service, fence, peer } of this.placements.overdue(log)) {
      const reason = `no heartbeat from ${this.#members.nameOf(peer ?? '')}`;
      this.decide({ kind: 'displace', service, fence, reason }, REQUEST_MS).catch(() => undefined); // again in a second
    }
    this.#proposals.leads(log);
  }

  /** Answers a request of another member. @throws with the reason of a refusal */
  async answer(from: PeerId, body: Uint8Array): Promise<Uint8Array> {
    const decoded = decodeCbor(body);
    const [what, argument] = Array.isArray(decoded) ? decoded : [];
    switch (what) {
      case 'propose': {
        const decision = decisionSchema.parse(argument);
        const outcome = await this.#proposals.take(from, decision, REQUEST_MS);
        return encodeCbor(outcome.ok ? [true, outcome.index] : [false, outcome.reason, outcome.busy ?? false]);
      }
      case 'index':
        return encodeCbor(await this.reads.ownIndex(REQUEST_MS));
      case 'keep':
        return encodeCbor(await this.placements.kept(from, keptSchema.parse(argument), REQUEST_MS));
      case 'since':
        return this.checkpoints.since(Number(argument));
      default:
        throw new Error('malformed request');
    }
  }
}
