// Certificates with real keys: as many votes as are asked for, and how long one takes to check.
import { certificateQuorum } from '../../consensus/quorum.ts';
import { type Certificate, verifyCertificate } from '../../consensus/vote/certificate.ts';
import {
  type Claim,
  claimIdOf,
  decodeVoteMessage,
  encodeClaimMessage,
  encodeVoteMessage,
  type Vote,
  voteBytes,
} from '../../consensus/vote/claim.ts';
import { Voting } from '../../consensus/vote/voting.ts';
import { makePeers } from './crypto.ts';

const SWARM = 'swarm';
const NOW_MS = 1_800_000_000_000;

/** Of as few witnesses as need so many votes. */
async function certificateWith(
  votes: number,
): Promise<{ certificate: Certificate; reader: Awaited<ReturnType<typeof makePeers>>[number] }> {
  let count = votes;
  while (certificateQuorum(count) < votes) count++;
  const [subject, reader, ...witnesses] = await makePeers(count + 2);
  if (subject === undefined || reader === undefined) throw new RangeError('no peers');
  const claim: Claim = {
    subject: subject.self,
    kind: 'service-down',
    target: 'web',
    port: 8080,
    fromMs: NOW_MS,
    expiresAtMs: NOW_MS + 60_000,
    evidenceDigest: subject.hash(new Uint8Array([1])),
  };
  const claimId = claimIdOf(SWARM, claim, subject.hash);
  const given = witnesses.slice(0, votes).map((one): Vote => {
    const unsigned = { claimId, witness: one.self, verdict: 'yes', reason: 'port-refused', confidence: 95 } as const;
    return { ...unsigned, signature: one.sign(voteBytes(SWARM, unsigned)) };
  });
  return { certificate: { claim, witnesses: witnesses.map(({ self }) => self), votes: given }, reader };
}

/** Ms that checking a certificate of so many votes takes, of keys that were never seen before, and again: the middle of some turns. */
export async function verifyMs(votes: number, turns: number): Promise<{ fresh: number; again: number }> {
  const [fresh, again]: [number[], number[]] = [[], []];
  for (let turn = 0; turn < turns; turn++) {
    const { certificate, reader } = await certificateWith(votes);
    for (const took of [fresh, again]) {
      const startMs = performance.now();
      const { valid } = verifyCertificate(reader, SWARM, certificate);
      took.push(performance.now() - startMs);
      if (!valid) throw new Error('a good certificate is refused');
    }
  }
  const median = (all: number[]): number => all.sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? Number.NaN;
  return { fresh: median(fresh), again: median(again) };
}

/** CPU of one vote, of the claimant and of all its witnesses together: every message encoded, decoded, signed and checked with real keys. */
export async function voteCpuMs(witnesses: number, turns: number): Promise<number> {
  const [subject, ...others] = await makePeers(witnesses + 1);
  if (subject === undefined) throw new RangeError('no peers');
  const [claimant, voters] = [new Voting(subject, SWARM), others.map((one) => ({ one, voting: new Voting(one, SWARM) }))];
  let spentUs = 0;
  for (let turn = 0; turn < turns; turn++) {
    const now = { wallMs: NOW_MS + turn * 60_000, monotonicMs: turn * 60_000 };
    const evidenceDigest = subject.hash(new Uint8Array([turn & 0xff, turn >> 8]));
    const times = { fromMs: now.wallMs, expiresAtMs: now.wallMs + 60_000 };
    const claim: Claim = { subject: subject.self, kind: 'service-down', target: 'web', port: 8080, ...times, evidenceDigest };
    const before = process.cpuUsage();
    claimant.step({ kind: 'claim', claim, witnesses: others.map(({ self }) => self) }, now);
    let certified = false;
    for (const { one, voting } of voters) {
      const asked = decodeVoteMessage(encodeClaimMessage(claim));
      if (asked === undefined) throw new Error('a claim that cannot be read');
      const wanted = voting.step({ kind: 'message', from: subject.self, message: asked }, now);
      const evidence = { verdict: 'yes', reason: 'port-refused', confidence: 95 } as const;
      const claimId = claimIdOf(SWARM, claim, one.hash);
      const sent = voting.step({ kind: 'evidence', claimId, ...evidence }, now).find(({ kind }) => kind === 'send');
      if (wanted.length === 0 || sent?.kind !== 'send' || sent.message.type !== 'vote')
        throw new Error('a witness does not vote');
      const vote = decodeVoteMessage(encodeVoteMessage(sent.message.vote));
      if (vote === undefined) throw new Error('a vote that cannot be read');
      const effects = claimant.step({ kind: 'message', from: one.self, message: vote }, now);
      certified ||= effects.some((effect) => effect.kind === 'notice' && effect.notice.kind === 'decided');
    }
    const { user, system } = process.cpuUsage(before);
    spentUs += user + system;
    if (!certified) throw new Error('nothing was certified');
  }
  return spentUs / 1_000 / turns;
}
