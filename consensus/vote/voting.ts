// Both sides of a vote on an anomaly. Claimant: asks the subject's witnesses, counts each vote once, and certifies, refutes or gives up at
// the deadline. Witness: collects its own evidence and signs one vote on a claim, never a second one.
import { equalBytes } from '../../swarm/dissemination/cbor.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { BaseInput, Core, Effect, Instant } from '../../swarm/runtime/effects.ts';
import { certificateQuorum } from '../quorum.ts';
import type { Certificate } from './certificate.ts';
import {
  type Claim,
  canRefute,
  claimIdOf,
  isGray,
  type Vote,
  type VoteMessage,
  type VoteReason,
  type VoteVerdict,
  voteBytes,
  voteFromWire,
  voteToWire,
} from './claim.ts';

/** How long a claimant waits for its witnesses. */
export const VOTE_DEADLINE_MS = 1_500;
/** How long a claim may be voted on and its certificate used. */
export const CLAIM_LIFE_MS = 60_000;
/** Clock difference between peers that a claim's times may show. */
export const CLOCK_TOLERANCE_MS = 3_600_000;
const MAX_OPEN_CLAIMS = 64;
/** Votes that are remembered, so that none is cast twice. */
const MAX_VOTES_CAST = 1_024;
/** Claims of one subject that are considered in a minute: a flood costs its witnesses no more than this. */
const MAX_CLAIMS_PER_MINUTE = 30;

/** Stored votes have numbered keys: the newest replaces the oldest. Before 0.4.0 the key named the claim. */
export const CAST_PREFIX = 'vote-cast/';
const CAST_DIGITS = 4;
const castKeyOf = (nth: number): string => `${CAST_PREFIX}n${String(nth % MAX_VOTES_CAST).padStart(CAST_DIGITS, '0')}`;
/** By asker: its claims up to this time get no vote, for an earlier vote on them may be forgotten. */
export const FLOOR_PREFIX = 'vote-floor/';
const MAX_FLOORS = 10_000;

interface Cast {
  vote: Vote;
  asker: PeerId;
  /** When the claim was made. */
  fromMs: number;
  nth: number;
}

const castToWire = ({ vote, asker, fromMs, nth }: Cast): unknown[] => [nth, asker, fromMs, voteToWire(vote)];

/** As stored; before 0.4.0 the vote alone. */
function castFromWire(wire: unknown): Cast | undefined {
  const before = voteFromWire(wire);
  if (before !== undefined) return { vote: before, asker: '', fromMs: Number.NEGATIVE_INFINITY, nth: -1 };
  const [nth, asker, fromMs, vote] = Array.isArray(wire) ? wire : [];
  const cast = voteFromWire(vote);
  if (cast === undefined || !Number.isSafeInteger(nth) || typeof asker !== 'string' || typeof fromMs !== 'number')
    return undefined;
  return { vote: cast, asker, fromMs, nth: Number(nth) };
}

export type VoteOutcome = 'certified' | 'refuted' | 'undecided';

export interface VoteResult {
  claimId: string;
  claim: Claim;
  outcome: VoteOutcome;
  witnesses: readonly PeerId[];
  votes: readonly Vote[];
  certificate: Certificate | undefined;
}

export type VotingInput =
  | { kind: 'claim'; claim: Claim; witnesses: readonly PeerId[] }
  | { kind: 'evidence'; claimId: string; verdict: VoteVerdict; reason: VoteReason; confidence: number };

export type VotingNotice =
  | { kind: 'evidence-wanted'; claimId: string; claim: Claim }
  | { kind: 'decided'; result: VoteResult }
  | { kind: 'voted'; claim: Claim; vote: Vote }
  /** One witness signed two different votes on one claim: proof of equivocation. */
  | { kind: 'equivocation'; witness: PeerId; first: Vote; second: Vote };

type TimerId = `deadline ${string}`;
type Effects = Effect<VoteMessage, VotingNotice, TimerId>[];

interface OpenClaim {
  claim: Claim;
  witnesses: readonly PeerId[];
  votes: Map<PeerId, Vote>;
}

interface AskedClaim {
  claim: Claim;
  asker: PeerId;
}

export class Voting implements Core<VotingInput, VoteMessage, VotingNotice, TimerId> {
  readonly #crypto: Crypto;
  readonly #swarmId: string;
  readonly #open = new Map<string, OpenClaim>();
  readonly #asked = new Map<string, AskedClaim>();
  /** By claim, the oldest first. */
  readonly #cast = new Map<string, Cast>();
  #nth = 0;
  readonly #floors = new Map<PeerId, number>();
  readonly #recent = new Map<PeerId, number[]>();

  constructor(crypto: Crypto, swarmId: string) {
    this.#crypto = crypto;
    this.#swarmId = swarmId;
  }

  step(input: VotingInput | BaseInput<VoteMessage, TimerId>, now: Instant): Effects {
    switch (input.kind) {
      case 'claim':
        return this.#raise(input.claim, input.witnesses);
      case 'evidence':
        return this.#vote(input);
      case 'timer':
        return this.#close(input.id.slice('deadline '.length), 'undecided');
      case 'message':
        return input.message.type === 'claim'
          ? this.#consider(input.from, input.message.claim, now)
          : this.#count(input.from, input.message.vote);
    }
  }

  #raise(claim: Claim, witnesses: readonly PeerId[]): Effects {
    const claimId = claimIdOf(this.#swarmId, claim, this.#crypto.hash);
    if (this.#open.has(claimId)) return [];
    this.#open.set(claimId, { claim, witnesses, votes: new Map() });
    if (witnesses.length === 0 || this.#open.size > MAX_OPEN_CLAIMS) return this.#close(claimId, 'undecided');
    const asks: Effects = witnesses.map((to) => ({ kind: 'send', to, message: { type: 'claim', claim } }));
    return [...asks, { kind: 'timer', id: `deadline ${claimId}`, afterMs: VOTE_DEADLINE_MS }];
  }

  /** Only the subject itself may claim this, except for what its observers can see. */
  #consider(from: PeerId, claim: Claim, now: Instant): Effects {
    const claimId = claimIdOf(this.#swarmId, claim, this.#crypto.hash);
    const given = this.#cast.get(claimId);
    if (given !== undefined) return [{ kind: 'send', to: from, message: { type: 'vote', vote: given.vote } }];
    const isForgotten = claim.fromMs <= (this.#floors.get(from) ?? Number.NEGATIVE_INFINITY);
    if (isForgotten || claim.fromMs > now.wallMs + CLOCK_TOLERANCE_MS) return [];
    const expired = claim.expiresAtMs + CLOCK_TOLERANCE_MS < now.wallMs;
    const tooLong = claim.expiresAtMs - claim.fromMs > CLAIM_LIFE_MS * 2;
    if ((from !== claim.subject && !isGray(claim.kind)) || expired || tooLong || this.#asked.has(claimId)) return [];
    if (this.#asked.size >= MAX_OPEN_CLAIMS || !this.#withinRate(from, now)) return [];
    this.#asked.set(claimId, { claim, asker: from });
    return [{ kind: 'notice', notice: { kind: 'evidence-wanted', claimId, claim } }];
  }

  /** Restores the votes from before a restart: a second, different vote would count as equivocation. */
  recall(kept: readonly unknown[], floors: readonly (readonly [PeerId, number])[] = []): void {
    const casts = kept.flatMap((one) => castFromWire(one) ?? []).sort((a, b) => a.nth - b.nth);
    for (const cast of casts) this.#cast.set(cast.vote.claimId, cast);
    this.#nth = (casts.at(-1)?.nth ?? -1) + 1;
    for (const [asker, fromMs] of floors) this.#floors.set(asker, fromMs);
  }

  #withinRate(subject: PeerId, now: Instant): boolean {
    const recent = (this.#recent.get(subject) ?? []).filter((ms) => now.monotonicMs - ms < 60_000);
    if (recent.length >= MAX_CLAIMS_PER_MINUTE) return false;
    recent.push(now.monotonicMs);
    this.#recent.set(subject, recent);
    return true;
  }

  #vote(input: Extract<VotingInput, { kind: 'evidence' }>): Effects {
    const asked = this.#asked.get(input.claimId);
    if (asked === undefined) return [];
    this.#asked.delete(input.claimId);
    const { claimId, verdict, reason, confidence } = input;
    const unsigned = { claimId, witness: this.#crypto.self, verdict, reason, confidence };
    const vote: Vote = { ...unsigned, signature: this.#crypto.sign(voteBytes(this.#swarmId, unsigned)) };
    const cast: Cast = { vote, asker: asked.asker, fromMs: asked.claim.fromMs, nth: this.#nth++ };
    this.#cast.set(claimId, cast);
    return [
      ...this.#forget(),
      { kind: 'persist', key: castKeyOf(cast.nth), value: castToWire(cast) },
      { kind: 'send', to: asked.asker, message: { type: 'vote', vote } },
      { kind: 'notice', notice: { kind: 'voted', claim: asked.claim, vote } },
    ];
  }

  /** Drops the oldest votes. Older claims of the same askers get no vote, which could differ from the dropped one. */
  #forget(): Effects {
    const floors: Effects = [];
    for (const [oldest, { asker, fromMs }] of this.#cast) {
      if (this.#cast.size <= MAX_VOTES_CAST) break;
      this.#cast.delete(oldest);
      if (asker === '' || fromMs <= (this.#floors.get(asker) ?? Number.NEGATIVE_INFINITY)) continue;
      this.#floors.set(asker, fromMs);
      floors.push({ kind: 'persist', key: `${FLOOR_PREFIX}${asker}`, value: fromMs });
    }
    for (const first of this.#floors.keys()) if (this.#floors.size > MAX_FLOORS) this.#floors.delete(first);
    return floors;
  }

  #count(from: PeerId, vote: Vote): Effects {
    const open = this.#open.get(vote.claimId);
    if (open === undefined || vote.witness !== from || !open.witnesses.includes(from)) return [];
    if (!this.#crypto.verify(from, voteBytes(this.#swarmId, vote), vote.signature)) return [];
    const first = open.votes.get(from);
    if (first !== undefined) {
      if (equalBytes(first.signature, vote.signature)) return [];
      return [{ kind: 'notice', notice: { kind: 'equivocation', witness: from, first, second: vote } }];
    }
    open.votes.set(from, vote);
    return this.#judge(vote.claimId, open);
  }

  #judge(claimId: string, open: OpenClaim): Effects {
    const needed = certificateQuorum(open.witnesses.length);
    const count = (verdict: VoteVerdict): number =>
      [...open.votes.values()].filter((vote) => counted(vote, open.claim) === verdict).length;
    if (count('yes') >= needed) return this.#close(claimId, 'certified');
    if (count('no') >= needed) return this.#close(claimId, 'refuted');
    return open.votes.size === open.witnesses.length ? this.#close(claimId, 'undecided') : [];
  }

  #close(claimId: string, outcome: VoteOutcome): Effects {
    const open = this.#open.get(claimId);
    if (open === undefined) return [];
    this.#open.delete(claimId);
    const votes = [...open.votes.values()].sort((a, b) => (a.witness < b.witness ? -1 : 1));
    const yes = votes.filter((vote) => vote.verdict === 'yes');
    const certificate = outcome === 'certified' ? { claim: open.claim, witnesses: open.witnesses, votes: yes } : undefined;
    const result: VoteResult = { claimId, claim: open.claim, outcome, witnesses: open.witnesses, votes, certificate };
    return [
      { kind: 'cancel', id: `deadline ${claimId}` },
      { kind: 'notice', notice: { kind: 'decided', result } },
    ];
  }
}

/** The verdict of a vote, or an abstention if its evidence is weaker than the claim's. */
function counted({ verdict, reason }: Vote, { kind }: Claim): VoteVerdict {
  return verdict === 'no' && !canRefute(kind, reason) ? 'abstain' : verdict;
}
