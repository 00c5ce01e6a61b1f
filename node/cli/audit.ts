// `kalos audit verify | list | prove | check`: the Merkle log of what an agent intended and did (RFC 6962).
import { z } from 'zod';
import { readInput } from '../adapters/regular-file.ts';
import { callAgent } from '../api/client.ts';
import type { AuditRecord } from '../audit/audit-log.ts';
import { checkProof, type ProofText, proofSchema } from '../audit/proof.ts';
import { conflictOf } from '../audit/witness.ts';
import { KalosError } from '../errors.ts';
import { printData } from './data.ts';
import { EXIT, type Format, paint, table } from './output.ts';

export interface AuditStanding {
  signed: { node: string; size: number }[];
  conflicts: { node: string; peer: string; why: string; proof: ProofText }[];
}

/** The answer of the agent: the root in hex. */
export type AuditVerification = { ok: true; records: number; root: string } | { ok: false; index: number; reason: string };

export async function auditVerify(directory: string | undefined, format: Format): Promise<number> {
  const check = await callAgent<AuditVerification>(directory, 'GET', '/v1/audit/verification');
  if (format !== 'table') printData(format, { ...check });
  else if (check.ok) process.stdout.write(`${paint('green', 'whole')}  ${check.records} records, root ${check.root}\n`);
  else process.stdout.write(`${paint('red', 'BROKEN')}  at record ${check.index}: ${check.reason}\n`);
  return check.ok ? EXIT.ok : EXIT.auditBroken;
}

/** Whose audit cannot be believed, each with its proof; and who has signed this agent's own. */
export async function auditConflicts(directory: string | undefined, node: string | undefined, format: Format): Promise<number> {
  const standing = await callAgent<AuditStanding>(directory, 'GET', '/v1/audit/standing');
  if (node !== undefined) {
    const one = standing.conflicts.find((conflict) => conflict.node === node || conflict.peer === node);
    if (one === undefined)
      throw new KalosError('usage', `nothing is known against the audit of ${node}`, 'see: kalos audit conflicts');
    process.stdout.write(`${JSON.stringify(one.proof, null, 2)}\n`);
    return EXIT.ok;
  }
  if (format !== 'table') printData(format, { ...standing });
  else {
    const signed = standing.signed.map((one) => `${one.node} (${one.size})`).join(', ');
    process.stdout.write(`this agent’s audit is signed by ${signed === '' ? 'nobody yet' : signed}\n`);
    if (standing.conflicts.length > 0)
      process.stdout.write(
        `${table(
          ['node', 'why'],
          standing.conflicts.map((one) => [one.node, one.why]),
        )}\n`,
      );
  }
  return standing.conflicts.length === 0 ? EXIT.ok : EXIT.auditBroken;
}

export async function auditList(directory: string | undefined, count: number, format: Format): Promise<number> {
  const records = await callAgent<AuditRecord[]>(directory, 'GET', `/v1/audit/records/last/${count}`);
  if (format !== 'table') printData(format, { records });
  else {
    const rows = records.map(({ index, atMs, kind, subject, text }) => [
      index,
      new Date(atMs).toISOString().slice(0, 19),
      kind,
      subject,
      text,
    ]);
    process.stdout.write(`${table(['index', 'at', 'kind', 'about', 'what'], rows)}\n`);
  }
  return EXIT.ok;
}

/** Prints a proof as JSON: of one record, or with `since` that the log of now begins with that of `since` records. */
export async function auditProve(
  directory: string | undefined,
  index: number | undefined,
  since: number | undefined,
): Promise<number> {
  if ((index === undefined) === (since === undefined))
    throw new KalosError('usage', 'name a record, or --since SIZE for a consistency proof');
  const path = since === undefined ? `records/${index}/proof` : `consistency/${since}`;
  const proof = await callAgent<ProofText>(directory, 'GET', `/v1/audit/${path}`);
  process.stdout.write(`${JSON.stringify(proof, null, 2)}\n`);
  return EXIT.ok;
}

/** Checks a proof that somebody handed over: offline, against the signer's own key. */
export async function auditCheck(file: string, format: Format): Promise<number> {
  const proof = proofSchema.safeParse(readProof(file));
  if (!proof.success) throw new KalosError('usage', `${file} holds no proof:\n${z.prettifyError(proof.error)}`);
  const { makeVerifier } = await import('../../swarm/libp2p/identity.ts');
  const verifier = makeVerifier();
  const check = checkProof(proof.data, verifier);
  if (proof.data.type === 'conflict') {
    const { earlier, later } = proof.data;
    const why = conflictOf(verifier, proof.data) ?? check.valid;
    const told = { ...check, type: 'conflict', signer: earlier.signer, why };
    if (format !== 'table') printData(format, told);
    else if (check.valid)
      process.stdout.write(
        `${paint('red', 'PROVEN')}  ${why}: ${earlier.signer} signed ${earlier.size} records, then ${later.size} that do not begin with them\n`,
      );
    else process.stdout.write(`${paint('red', 'NOT valid')}  ${check.reason}\n`);
    return check.valid ? EXIT.ok : EXIT.auditBroken;
  }
  const about = proof.data.type === 'inclusion' ? `record ${proof.data.record.index}` : `the first ${proof.data.oldSize} records`;
  const said = { ...check, type: proof.data.type, signer: proof.data.head.signer, size: proof.data.head.size };
  if (format !== 'table') printData(format, said);
  else if (check.valid)
    process.stdout.write(`${paint('green', 'valid')}  ${about}, in the log of ${said.signer} at ${said.size} records\n`);
  else process.stdout.write(`${paint('red', 'NOT valid')}  ${check.reason}\n`);
  return check.valid ? EXIT.ok : EXIT.auditBroken;
}

function readProof(file: string): unknown {
  try {
    return JSON.parse(readInput(file).toString('utf8'));
  } catch (error) {
    throw new KalosError('io', `cannot read ${file}: ${(error as Error).message}`);
  }
}
