// `kalos explain ID` from any peer: the incident's chain is fetched from the peer that had it, its certificate is
// checked here, and what this peer itself voted is added.
import { z } from 'zod';
import { decodeCertificate, verifyCertificate } from '../../consensus/vote/certificate.ts';
import { claimIdOf, claimTarget, type Vote } from '../../consensus/vote/claim.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { SwarmLink } from '../agent/swarm-link.ts';
import type { Incident } from '../detection/incident.ts';
import { incidentSchema, type Memory } from '../memory/memory.ts';

/** Of all answers together. */
const MAX_EXPLAIN_BYTES = 16_000_000;
const EXPLAIN_TIMEOUT_MS = 3_000;
const INCIDENT_ID = /^inc-[0-9a-f]{10}$/;
const requestSchema = z.string().regex(INCIDENT_ID);

export interface Explanation {
  incident: Incident;
  /** Whether the chain came from this peer itself or over the network. */
  source: 'local' | 'remote';
  /** The certificate, checked by this peer against its own view of who there is. */
  certificate: { present: false } | { present: true; valid: boolean; detail: string; witnesses: string[] };
  /** This peer's own vote, if it was a witness. */
  ownVote: { verdict: string; reason: string; confidence: number } | undefined;
}

export type ExplainResult = { ok: true; explanation: Explanation } | { ok: false; message: string };

export interface ExplainSources {
  link: SwarmLink;
  memory: Memory;
  crypto: Crypto;
  swarmId: string;
  /** The votes that this peer gave, by claim. */
  ownVotes: ReadonlyMap<string, Vote>;
}

/** Answers another peer: the incident, or null where this peer did not have it. */
export function answerExplain(body: Uint8Array, memory: Memory): Uint8Array {
  const request = requestSchema.safeParse(decodeCbor(body));
  return encodeCbor((request.success && memory.incident(request.data)) || null);
}

export async function explain(id: string, sources: ExplainSources): Promise<ExplainResult> {
  if (!INCIDENT_ID.test(id))
    return {
      ok: false,
      message: `"${id}" is no incident id: they look like inc-0123456789; see: kalos query "select id from incidents"`,
    };
  const local = sources.memory.incident(id);
  if (local !== undefined) return { ok: true, explanation: explained(local, 'local', sources) };
  const members = sources.link.members.map(({ peer }) => peer);
  let told: Incident | undefined;
  const take = (peer: PeerId, body: Uint8Array): void => {
    const incident = incidentSchema.safeParse(decodeCbor(body));
    // Only the machine itself may tell its story: another's word about it is dropped.
    if (incident.success && incident.data.node === peer && incident.data.id === id) told = incident.data as Incident;
  };
  const options = { timeoutMs: EXPLAIN_TIMEOUT_MS, maxBytes: MAX_EXPLAIN_BYTES, take };
  const missing = await sources.link.ask(members, 'explain', encodeCbor(id), options);
  if (told !== undefined) return { ok: true, explanation: explained(told, 'remote', sources) };
  const silent = missing.map(({ peer, reason }) => `${sources.link.nameOf(peer)} (${reason})`);
  const rest = silent.length === 0 ? '' : `; not asked or silent: ${silent.join(', ')}`;
  return { ok: false, message: `no peer that answered knows ${id}${rest}` };
}

function explained(incident: Incident, source: Explanation['source'], sources: ExplainSources): Explanation {
  return { incident, source, ...checkCertificate(incident, sources) };
}

function checkCertificate(
  incident: Incident,
  { link, crypto, swarmId, ownVotes }: ExplainSources,
): Pick<Explanation, 'certificate' | 'ownVote'> {
  const certificate =
    incident.certificate === ''
      ? undefined
      : decodeCertificate(Uint8Array.from(atob(incident.certificate), (c) => c.charCodeAt(0)));
  if (certificate === undefined) return { certificate: { present: false }, ownVote: undefined };
  const check = verifyCertificate(crypto, swarmId, certificate);
  const known = new Set<PeerId>(link.members.map(({ peer }) => peer));
  const strangers = certificate.witnesses.filter((peer) => !known.has(peer)).length;
  // Before version 0.4 it was cut short.
  const targets = [claimTarget(incident.target, crypto.hash), incident.target.slice(0, 64)];
  const aboutIt = certificate.claim.subject === incident.node && targets.includes(certificate.claim.target);
  const valid = check.valid && aboutIt;
  const detail = !check.valid
    ? check.reason
    : !aboutIt
      ? 'it is about something else'
      : `${check.signatures} of ${certificate.witnesses.length} witnesses signed${strangers > 0 ? `; ${strangers} of them this peer does not know` : ''}`;
  const vote = ownVotes.get(claimIdOf(swarmId, certificate.claim, crypto.hash));
  return {
    certificate: { present: true, valid, detail, witnesses: certificate.votes.map(({ witness }) => link.nameOf(witness)) },
    ownVote: vote && { verdict: vote.verdict, reason: vote.reason, confidence: vote.confidence },
  };
}
