// Votes on this agent's claims, and this agent's votes on the claims of others: the voting core, and the evidence that it requests.

import { isOlder } from '../../consensus/decisions/decision.ts';
import {
  type Claim,
  decodeVoteMessage,
  encodeClaimMessage,
  encodeVoteMessage,
  isGray,
  type Vote,
  type VoteMessage,
} from '../../consensus/vote/claim.ts';
import type { Equivocation } from '../../consensus/vote/equivocation.ts';
import {
  CAST_PREFIX,
  FLOOR_PREFIX,
  type VoteResult,
  Voting,
  type VotingInput,
  type VotingNotice,
} from '../../consensus/vote/voting.ts';
import { decodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { CoreRuntime } from '../../swarm/runtime/core-runtime.ts';
import type { StatusTable } from '../../swarm/state/status-table.ts';
import type { Ports } from '../ports/ports.ts';
import { Batches, unbatched } from './batches.ts';
import { type Evidence, gatherEvidence } from './evidence.ts';

const NO_EVIDENCE: Evidence = { verdict: 'abstain', reason: 'no-evidence', confidence: 0 };
const MAX_KEPT = 10_000;
/** Members of an older version accept one message at a time. */
const READS_BATCHES = '0.3.0';
/** Members of an older version cannot read a claim that names its check. */
const READS_CHECKS = '0.4.0';

export interface BallotEvents {
  send(to: PeerId, bytes: Uint8Array): void;
  voted(claim: Claim, vote: Vote): void;
  /** What this agent has measured of another. */
  measured(claim: Claim): Evidence;
  /** The event loop of this agent is so late that its measurements of others are not reliable. */
  isBlind(): boolean;
  /** A witness signed two different votes on one claim. */
  equivocated(witness: PeerId, proof: Equivocation): void;
  failed(error: unknown): void;
}

export class Ballots {
  readonly #ports: Ports;
  readonly #statuses: StatusTable;
  readonly #events: BallotEvents;
  readonly #votes: CoreRuntime<VotingInput, VoteMessage, VotingNotice, `deadline ${string}`>;
  readonly #core: Voting;
  readonly #batches: Batches;
  readonly #waiting = new Map<Claim, (result: VoteResult) => void>();

  constructor(ports: Ports, swarmId: string, statuses: StatusTable, events: BallotEvents) {
    this.#ports = ports;
    this.#statuses = statuses;
    this.#events = events;
    this.#core = new Voting(ports.crypto, swarmId);
    this.#batches = new Batches({
      clock: ports.clock,
      send: (to, bytes) => events.send(to, bytes),
      reads: (peer) => this.#runs(peer, READS_BATCHES),
    });
    this.#votes = new CoreRuntime(this.#core, {
      clock: ports.clock,
      store: ports.store,
      send: (to, message) => this.#batches.send(to, encodeVote(message)),
      broadcast: () => undefined,
      notice: (notice) => this.#notice(notice),
      failed: (error) => events.failed(error),
    });
  }

  /** Loads its votes from before a restart. */
  async open(): Promise<void> {
    const { store } = this.#ports;
    const kept = await store.range(CAST_PREFIX, { limit: MAX_KEPT });
    const floors = await store.range(FLOOR_PREFIX, { limit: MAX_KEPT });
    this.#core.recall(
      kept.map(([, bytes]) => decodeCbor(bytes)),
      floors.map(([key, bytes]) => [key.slice(FLOOR_PREFIX.length), Number(decodeCbor(bytes))]),
    );
  }

  /** Claims whose votes are pending. */
  get waiting(): number {
    return this.#waiting.size;
  }

  stop(): void {
    this.#votes.stop();
    this.#batches.stop();
  }

  receive(from: PeerId, bytes: Uint8Array): void {
    for (const one of unbatched(bytes)) {
      const message = decodeVoteMessage(one);
      if (message !== undefined) this.#votes.post({ kind: 'message', from, message });
    }
  }

  /** Asks the witnesses; resolves by the vote's deadline at the latest. */
  vote(claim: Claim, witnesses: PeerId[]): Promise<VoteResult> {
    const { check: _check, ...plain } = claim;
    const asked = witnesses.every((peer) => this.#runs(peer, READS_CHECKS)) ? claim : plain;
    return new Promise((resolve) => {
      this.#waiting.set(asked, resolve);
      this.#votes.post({ kind: 'claim', claim: asked, witnesses });
    });
  }

  #runs(peer: PeerId, version: string): boolean {
    return !isOlder(this.#statuses.get(peer)?.status.version ?? '0.0.0', version);
  }

  #notice(notice: VotingNotice): void {
    switch (notice.kind) {
      case 'decided':
        this.#waiting.get(notice.result.claim)?.(notice.result);
        this.#waiting.delete(notice.result.claim);
        return;
      case 'voted':
        return this.#events.voted(notice.claim, notice.vote);
      case 'equivocation':
        return this.#events.equivocated(notice.witness, {
          first: encodeVoteMessage(notice.first),
          second: encodeVoteMessage(notice.second),
        });
      case 'evidence-wanted':
        void this.#witness(notice.claimId, notice.claim);
    }
  }

  async #witness(claimId: string, claim: Claim): Promise<void> {
    const { transport, clock } = this.#ports;
    const isMeasured = isGray(claim.kind);
    const seen = isMeasured
      ? this.#events.measured(claim)
      : await gatherEvidence(claim, transport, this.#statuses, clock).catch(() => NO_EVIDENCE); // the requested check may fail in any way
    // A late answer, or none in time, may be this agent's own delay.
    const isDoubtful = this.#events.isBlind() && (isMeasured || seen.reason === 'check-silent');
    this.#votes.post({ kind: 'evidence', claimId, ...(isDoubtful ? NO_EVIDENCE : seen) });
  }
}

function encodeVote(message: VoteMessage): Uint8Array {
  return message.type === 'claim' ? encodeClaimMessage(message.claim) : encodeVoteMessage(message.vote);
}
