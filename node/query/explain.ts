// `kalos explain ID` on any member: the incident's chain is fetched from the member that had it or, if that is down, from a
// witness that it reported to. Its certificate is checked here, and this agent's own vote is added.
import { z } from 'zod';
import { decodeCertificate, verifyCertificate } from '../../consensus/vote/certificate.ts';
import { claimIdOf, claimTarget } from '../../consensus/vote/claim.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { counted } from '../../swarm/words.ts';
import { type Incident, incidentIdOf } from '../detection/incident.ts';
import { incidentSchema } from '../memory/memory.ts';
import { readStory, type Story } from '../memory/story.ts';
import type { Reads } from './reads.ts';

/** Limit of all answers together. */
const MAX_EXPLAIN_BYTES = 16_000_000;
const EXPLAIN_TIMEOUT_MS = 3_000;
const INCIDENT_ID = /^inc-[0-9a-f]{10}$/;
const idSchema = z.string().regex(INCIDENT_ID);
/** The id of an own incident; the id of a reported one; or an incident of the sender to keep. */
const requestSchema = z.union([idSchema, z.tuple([z.literal('kept'), idSchema]), z.tuple([z.literal('keep'), z.unknown()])]);

export interface Explanation {
  incident: Incident;
  /** Source of the chain: this agent, the affected machine, or a witness that it reported to. */
  source: 'local' | 'remote' | 'witness';
  /** The witness, if it is the source; it may be this agent. */
  toldBy?: string | undefined;
  /** The certificate, checked by this agent against its own view of the members. */
  certificate: { present: false } | { present: true; valid: boolean; detail: string; witnesses: string[] };
  /** This agent's own vote, if it was a witness. */
  ownVote: { verdict: string; reason: string; confidence: number } | undefined;
}

export type ExplainResult = { ok: true; explanation: Explanation } | { ok: false; message: string };

export interface ExplainSources {
  reads: Reads;
  crypto: Crypto;
  swarmId: string;
  /** The client: requests to members are scheduled fairly between clients. */
  asker: string;
}

/** Answers another member with the incident or the story, or null if this agent has none. @param keep stores a reported story. */
export async function answerExplain(
  from: PeerId,
  body: Uint8Array,
  { healing, witness }: Reads,
  keep: (from: PeerId, story: unknown) => Promise<boolean>,
): Promise<Uint8Array> {
  const request = requestSchema.safeParse(decodeCbor(body)).data;
  if (request === undefined) return encodeCbor(null);
  if (typeof request === 'string') return encodeCbor(healing.incident(request) ?? null);
  if (request[0] === 'kept') return encodeCbor(witness.story(request[1]) ?? null);
  return encodeCbor(await keep(from, request[1]));
}

export async function explain(id: string, sources: ExplainSources): Promise<ExplainResult> {
  if (!INCIDENT_ID.test(id))
    return {
      ok: false,
      message: `"${id}" is not an incident id such as inc-0123456789; see: kalos query "select id from incidents"`,
    };
  const local = sources.reads.healing.incident(id);
  if (local !== undefined) return { ok: true, explanation: explained(local, 'local', sources) };
  const members = sources.reads.swarm.members.map(({ peer }) => peer);
  let own: Incident | undefined;
  const missing = await ask(members, encodeCbor(id), sources, (peer, answer) => {
    const incident = incidentSchema.safeParse(answer);
    // Only the affected machine may answer with its own incident: an answer from another member is dropped.
    if (incident.success && incident.data.node === peer && isOf(incident.data, id, sources)) own = incident.data as Incident;
  });
  if (own !== undefined) return { ok: true, explanation: explained(own, 'remote', sources) };
  const kept = await witnessed(id, members, sources);
  if (kept !== undefined) {
    const toldBy = sources.reads.swarm.nameOf(kept.by);
    return { ok: true, explanation: { ...explained(kept.story.incident, 'witness', sources), toldBy } };
  }
  const silent = missing.map(({ peer, reason }) => `${sources.reads.swarm.nameOf(peer)} (${reason})`);
  const rest = silent.length === 0 ? '' : `; no answer from: ${silent.join(', ')}`;
  return { ok: false, message: `no member that answered knows ${id}${rest}` };
}

function ask(
  members: readonly PeerId[],
  body: Uint8Array,
  { reads, asker }: ExplainSources,
  take: (peer: PeerId, answer: unknown) => void,
) {
  const options = { timeoutMs: EXPLAIN_TIMEOUT_MS, maxBytes: MAX_EXPLAIN_BYTES, asker };
  return reads.swarm.ask(members, 'explain', body, { ...options, take: (peer, answer) => take(peer, decodeCbor(answer)) });
}

/** The story as its machine signed it: this agent's copy, else the newest copy of a witness. */
async function witnessed(
  id: string,
  members: readonly PeerId[],
  sources: ExplainSources,
): Promise<{ story: Story; by: PeerId } | undefined> {
  const { reads, crypto, swarmId } = sources;
  const own = reads.witness.story(id);
  let newest = own && { story: own, by: reads.swarm.self };
  await ask(members, encodeCbor(['kept', id]), sources, (by, answer) => {
    const story = readStory(crypto, swarmId, answer);
    if (story === undefined || !isOf(story.incident, id, sources)) return;
    if (newest === undefined || lastMs(story) > lastMs(newest.story)) newest = { story, by };
  });
  return newest;
}

/** Another machine can claim any id for its incident, but the id is a hash over the machine, so it must match. */
function isOf(
  incident: Pick<Incident, 'id' | 'node' | 'policy' | 'target' | 'openedMs'>,
  id: string,
  { crypto }: ExplainSources,
): boolean {
  return incident.id === id && incidentIdOf(incident.node, incident, incident.openedMs, crypto.hash) === id;
}

const lastMs = ({ incident }: Story): number => incident.steps.at(-1)?.atMs ?? incident.openedMs;

function explained(incident: Incident, source: Explanation['source'], sources: ExplainSources): Explanation {
  return { incident, source, ...checkCertificate(incident, sources) };
}

function checkCertificate(
  incident: Incident,
  { reads: { swarm, witness }, crypto, swarmId }: ExplainSources,
): Pick<Explanation, 'certificate' | 'ownVote'> {
  const certificate = incident.certificate === '' ? undefined : decodeCertificate(Buffer.from(incident.certificate, 'base64'));
  if (certificate === undefined) return { certificate: { present: false }, ownVote: undefined };
  const check = verifyCertificate(crypto, swarmId, certificate);
  const known = new Set<PeerId>(swarm.members.map(({ peer }) => peer));
  const strangers = certificate.witnesses.filter((peer) => !known.has(peer)).length;
  // Agents older than 0.4 cut the target.
  const targets = [claimTarget(incident.target, crypto.hash), incident.target.slice(0, 64)];
  const aboutIt = certificate.claim.subject === incident.node && targets.includes(certificate.claim.target);
  const valid = check.valid && aboutIt;
  const detail = !check.valid
    ? check.reason
    : !aboutIt
      ? 'it is for another claim'
      : `${check.signatures} of ${counted(certificate.witnesses.length, 'witness')} signed${strangers > 0 ? `; ${strangers} of them unknown to this agent` : ''}`;
  const vote = witness.voteOn(claimIdOf(swarmId, certificate.claim, crypto.hash));
  return {
    certificate: { present: true, valid, detail, witnesses: certificate.votes.map(({ witness }) => swarm.nameOf(witness)) },
    ownVote: vote && { verdict: vote.verdict, reason: vote.reason, confidence: vote.confidence },
  };
}
