// Routes of the audit log: its records, whether it is intact, and proofs for others.
import { z } from 'zod';
import { toHex } from '../../swarm/dissemination/cbor.ts';
import { counted } from '../../swarm/words.ts';
import { conflictText, consistencyText, inclusionText, proofTextSchema } from '../audit/proof.ts';
import { auditRecords, auditVerification } from './answers/machine.ts';
import { failed, get, ok, type Route } from './route.ts';

const MANY = /\d{1,12}/;
const proofAnswer = proofTextSchema.meta({ id: 'Proof' });
const standingAnswer = z.strictObject({
  signed: z.array(z.strictObject({ node: z.string(), size: z.number().int() })),
  conflicts: z.array(z.strictObject({ node: z.string(), peer: z.string(), why: z.string(), proof: proofAnswer })),
});

export const AUDIT_ROUTES: readonly Route[] = [
  get(
    '/v1/audit/standing',
    'Signers of this audit, and members with conflicting audits',
    { tag: 'audit', answer: standingAnswer },
    (agent) => {
      const { signed, conflicts } = agent.parts.auditWatch.standing;
      return ok({
        signed: signed.map(({ witness, size }) => ({ node: agent.swarm.members.nameOf(witness), size })),
        conflicts: conflicts.map(({ peer, why, conflict }) => ({
          node: agent.swarm.members.nameOf(peer),
          peer,
          why,
          proof: conflictText(conflict),
        })),
      });
    },
  ),
  get('/v1/audit/verification', 'Verifies the whole audit log', { tag: 'audit', answer: auditVerification }, async (agent) => {
    const check = await agent.parts.audit.verify();
    return ok(check.ok ? { ...check, root: check.root === undefined ? '' : toHex(check.root) } : check);
  }),
  get(
    '/v1/audit/records/last/{count}',
    'The newest records of the audit log',
    { tag: 'audit', answer: auditRecords, parameter: /\d{1,4}/ },
    async (agent, count) => ok(await agent.parts.audit.tail(Number(count))),
  ),
  get(
    '/v1/audit/records/{index}/proof',
    'A proof that a record is in the log',
    { tag: 'audit', answer: proofAnswer, failures: [404], parameter: MANY },
    async (agent, index) => {
      const proof = await agent.parts.audit.prove(Number(index));
      return proof === undefined
        ? failed(404, `the log has no record ${index}; it has ${agent.parts.audit.records}`)
        : ok(inclusionText(proof));
    },
  ),
  get(
    '/v1/audit/consistency/{size}',
    'A proof that the log only grew since a size',
    { tag: 'audit', answer: proofAnswer, failures: [404], parameter: MANY },
    async (agent, size) => {
      const proof = await agent.parts.audit.proveConsistency(Number(size));
      return proof === undefined
        ? failed(404, `the log was never of size ${size}; it has ${counted(agent.parts.audit.records, 'record')}`)
        : ok(consistencyText(proof));
    },
  ),
];
