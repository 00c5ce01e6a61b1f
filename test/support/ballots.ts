// Votes under attack, protocols only: claims that are true or not, witnesses of whom as many lie as may, a network that loses, repeats and
// reorders, witnesses that are killed and come back. What is certified is true; what liars make up themselves is believed by nobody.
import { isProven } from '../../consensus/decisions/drains.ts';
import { certificateQuorum, tolerableLiars } from '../../consensus/quorum.ts';
import { type Certificate, encodeCertificate, verifyCertificate } from '../../consensus/vote/certificate.ts';
import {
  type Claim,
  claimIdOf,
  GRAY_KINDS,
  type Vote,
  type VoteMessage,
  type VoteVerdict,
  voteBytes,
} from '../../consensus/vote/claim.ts';
import { type VoteResult, Voting, type VotingInput, type VotingNotice } from '../../consensus/vote/voting.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { SeededRandom } from '../../sim/random.ts';
import { utf8 } from '../../swarm/dissemination/cbor.ts';
import { observersOf } from '../../swarm/membership/observers.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';

const SWARM = 'swarm';
const NOW_MS = 1_800_000_000_000;
const LOSS = 0.1;
const REPEATED = 0.1;
const KILLED = 0.05;
const ABSTAINS = 0.1;
const CLAIMS = 4;
const MAX_MEMBERS = 16;
const MIN_MEMBERS = 6;

export interface Ballots {
  claims: number;
  certified: number;
  /** Certificates that liars made up. */
  forged: number;
  wrong: string[];
}

interface Envelope {
  from: PeerId;
  to: PeerId;
  message: VoteMessage;
}

class Election {
  readonly random: SeededRandom;
  readonly members: ModelledCrypto[];
  readonly cores = new Map<PeerId, Voting>();
  readonly disks = new Map<PeerId, unknown[]>();
  readonly truth = new Map<string, boolean>();
  readonly liars = new Set<PeerId>();
  readonly queue: Envelope[] = [];
  readonly seen: Vote[] = [];
  readonly results: VoteResult[] = [];
  /** What each honest witness signed on each claim. */
  readonly signed = new Map<string, string>();
  readonly wrong: string[] = [];
  nowMs = NOW_MS;

  constructor(seed: number) {
    this.random = new SeededRandom(seed, 'ballots');
    const count = MIN_MEMBERS + Math.floor(this.random.unit() * (MAX_MEMBERS - MIN_MEMBERS + 1));
    const secret = utf8(`ballots ${seed}`);
    this.members = Array.from({ length: count }, (_, nth) => new ModelledCrypto(simulatedPeer(nth, seed), secret));
    for (const one of this.members) this.#begin(one);
  }

  get peers(): PeerId[] {
    return this.members.map(({ self }) => self);
  }

  pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.random.unit() * all.length)] as T;
  }

  crypto(peer: PeerId): ModelledCrypto {
    return this.members.find(({ self }) => self === peer) as ModelledCrypto;
  }

  #begin(crypto: ModelledCrypto): void {
    const core = new Voting(crypto, SWARM);
    core.recall(this.disks.get(crypto.self) ?? []);
    this.cores.set(crypto.self, core);
  }

  /** As kill -9: what was written is there again. */
  kill(peer: PeerId): void {
    this.#begin(this.crypto(peer));
  }

  step(peer: PeerId, input: VotingInput | { kind: 'message'; from: PeerId; message: VoteMessage }): void {
    const effects = this.cores.get(peer)?.step(input, { wallMs: this.nowMs, monotonicMs: this.nowMs }) ?? [];
    for (const effect of effects) {
      if (effect.kind === 'persist') this.disks.set(peer, [...(this.disks.get(peer) ?? []), effect.value]);
      else if (effect.kind === 'send') this.send({ from: peer, to: effect.to, message: effect.message });
      else if (effect.kind === 'notice') this.#noticed(peer, effect.notice);
    }
  }

  #noticed(peer: PeerId, notice: VotingNotice): void {
    if (notice.kind === 'decided') this.results.push(notice.result);
    if (notice.kind === 'equivocation' && !this.liars.has(notice.witness)) this.wrong.push('an honest witness is said to lie');
    if (notice.kind !== 'evidence-wanted') return;
    const verdict: VoteVerdict =
      this.random.unit() < ABSTAINS ? 'abstain' : this.truth.get(notice.claimId) === true ? 'yes' : 'no';
    this.step(peer, { kind: 'evidence', claimId: notice.claimId, verdict, reason: 'own-measure', confidence: 80 });
  }

  send(envelope: Envelope): void {
    const { from, message } = envelope;
    if (message.type === 'vote') {
      const { vote } = message;
      this.seen.push(vote);
      const [key, text] = [`${vote.witness} ${vote.claimId}`, `${vote.verdict} ${vote.reason}`];
      if (from === vote.witness && !this.liars.has(from)) {
        if ((this.signed.get(key) ?? text) !== text) this.wrong.push('an honest witness has signed two different votes');
        this.signed.set(key, text);
      }
    }
    if (this.random.unit() >= LOSS) this.queue.push(envelope);
    if (this.random.unit() < REPEATED) this.queue.push(envelope);
  }

  deliver(): void {
    while (this.queue.length > 0) {
      const [envelope] = this.queue.splice(Math.floor(this.random.unit() * this.queue.length), 1);
      if (envelope === undefined) return;
      if (this.liars.has(envelope.to)) this.#lie(envelope);
      else this.step(envelope.to, { kind: 'message', from: envelope.from, message: envelope.message });
      if (this.random.unit() < KILLED) this.kill(this.pick(this.peers.filter((peer) => !this.openBy(peer))));
    }
  }

  openBy(peer: PeerId): boolean {
    return peer === this.claimant;
  }
  claimant: PeerId = '';

  sign(witness: PeerId, claimId: string, verdict: VoteVerdict): Vote {
    const unsigned = { claimId, witness, verdict, reason: 'own-measure', confidence: 100 } as const;
    return { ...unsigned, signature: this.crypto(witness).sign(voteBytes(SWARM, unsigned)) };
  }

  /** A liar that is asked: says what it likes, with two tongues, in others' names, what others said before, or nothing. */
  #lie({ to: liar, from, message }: Envelope): void {
    if (message.type !== 'claim') return;
    const claimId = claimIdOf(SWARM, message.claim, this.crypto(liar).hash);
    const wrong: VoteVerdict = this.truth.get(claimId) === true ? 'no' : 'yes';
    const vote = this.sign(liar, claimId, this.random.unit() < 0.7 ? wrong : this.pick(['yes', 'no', 'abstain']));
    const other = this.pick(this.peers);
    const sent = this.pick<() => Vote[]>([
      () => [vote],
      () => [vote, this.sign(liar, claimId, this.pick(['yes', 'no']))],
      () => [{ ...vote, witness: other }],
      () => [{ ...vote, signature: new Uint8Array(64) }],
      () => [{ ...this.sign(liar, claimId, wrong), witness: other, signature: new Uint8Array(64) }, vote],
      () => (this.seen.length === 0 ? [] : [{ ...this.pick(this.seen), claimId }, vote]),
      () => [],
    ])();
    for (const one of sent) this.queue.push({ from: liar, to: from, message: { type: 'vote', vote: one } });
  }
}

/** Liars put together what they have, and what honest ones said on other claims. */
function forge(world: Election, claim: Claim, hash: ModelledCrypto['hash']): Certificate {
  const claimId = claimIdOf(SWARM, claim, hash);
  const liars = [...world.liars];
  const own = liars.map((liar) => world.sign(liar, claimId, 'yes'));
  const borrowed = world.seen.filter(({ verdict }) => verdict === 'yes').map((vote) => ({ ...vote, claimId }));
  const drawn = observersOf(claim.subject, world.peers);
  const names = world.pick([
    liars,
    drawn,
    [...liars, ...drawn.filter((peer) => !world.liars.has(peer))].slice(0, 5),
    [...liars, ...liars.map((_, nth) => `nobody-${nth}`)],
    world.peers.filter((peer) => peer !== claim.subject),
  ]);
  const twice = own.flatMap((vote) => [vote, { ...vote, confidence: 99 }]);
  const votes = world.pick([own, [...own, ...borrowed], twice, [...own, ...own]]);
  return { claim, witnesses: names, votes: world.pick([votes, votes.slice(0, certificateQuorum(names.length))]) };
}

export function ballots(seed: number): Ballots {
  const world = new Election(seed);
  const out: Ballots = { claims: 0, certified: 0, forged: 0, wrong: world.wrong };
  const subject = world.pick(world.peers);
  const drawn = observersOf(subject, world.peers);
  for (const liar of drawn.toSorted(() => world.random.unit() - 0.5).slice(0, tolerableLiars(drawn.length)))
    world.liars.add(liar);
  const honest = [subject, ...drawn].filter((peer) => !world.liars.has(peer));
  for (let nth = 0; nth < CLAIMS; nth++) {
    world.nowMs += 200_000;
    const isGray = world.random.unit() < 0.5;
    const claimant = isGray ? (world.pick(honest.filter((peer) => peer !== subject)) ?? subject) : subject;
    const evidenceDigest = world.crypto(claimant).hash(utf8(`${seed} ${nth}`));
    const times = { fromMs: world.nowMs, expiresAtMs: world.nowMs + 60_000 };
    const kind = isGray ? world.pick(GRAY_KINDS) : 'service-down';
    const claim: Claim = { subject, kind, target: 'web', port: undefined, ...times, evidenceDigest };
    const claimId = claimIdOf(SWARM, claim, world.crypto(claimant).hash);
    const isTrue = world.random.unit() < 0.5;
    world.truth.set(claimId, isTrue);
    world.claimant = claimant;
    out.claims++;
    world.step(claimant, { kind: 'claim', claim, witnesses: drawn.filter((peer) => peer !== claimant) });
    world.deliver();
    const result = world.results.find((one) => one.claimId === claimId);
    if (result?.outcome === 'certified') out.certified++;
    if (result?.outcome === 'certified' && !isTrue) world.wrong.push('what is not so was certified');
    if (result?.outcome === 'refuted' && isTrue) world.wrong.push('what is so was refuted');
    if (result?.certificate !== undefined && !verifyCertificate(world.crypto(subject), SWARM, result.certificate).valid)
      world.wrong.push('a certificate does not hold');
    judgeForged(world, claim, isTrue, out);
  }
  return out;
}

/** Nobody is drained by what liars made up, on a claim that is not so, and no replay of what was so once counts later. */
function judgeForged(world: Election, claim: Claim, isTrue: boolean, out: Ballots): void {
  const reader = world.crypto(world.pick(world.peers));
  const believed = { mayDecide: () => false, members: () => world.peers, liars: new Set<PeerId>() };
  for (let turn = 0; turn < 3 && !isTrue; turn++) {
    const gray = { ...claim, kind: world.pick(GRAY_KINDS), target: `forged ${turn}` };
    const certificate = forge(world, gray, reader.hash);
    const proof = encodeCertificate(certificate);
    const drain = {
      by: world.pick(world.peers),
      atMs: world.nowMs,
      reason: 'forged',
      peer: claim.subject,
      forMs: 600_000,
      wishedMs: world.nowMs,
      proof,
    };
    out.forged++;
    if (isProven(reader, SWARM, drain, believed)) world.wrong.push('a drain that liars made up is believed');
  }
  const old = world.results.find(
    ({ certificate }) => certificate !== undefined && certificate.claim.fromMs < world.nowMs - 400_000,
  );
  if (old?.certificate === undefined) return;
  const replay = {
    proof: encodeCertificate(old.certificate),
    by: old.claim.subject,
    peer: old.claim.subject,
    forMs: 600_000,
    wishedMs: world.nowMs,
  };
  if (isProven(reader, SWARM, { ...replay, atMs: world.nowMs, reason: 'replayed' }, believed))
    world.wrong.push('an old certificate counts');
}
