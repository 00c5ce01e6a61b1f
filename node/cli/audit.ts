// `kalos audit verify | list | prove | check`: the Merkle log of what an agent planned and did (RFC 6962).
import { counted } from '../../swarm/words.ts';
import { readInput } from '../adapters/regular-file.ts';
import { callAgent } from '../api/client.ts';
import type { AuditRecord } from '../audit/audit-log.ts';
import { checkProof, type ProofText, proofSchema } from '../audit/proof.ts';
import { conflictOf } from '../audit/witness.ts';
import { KalosError, reasonOf } from '../errors.ts';
import { wordsOf } from '../issue-words.ts';
import { printRows, printWhole } from './data.ts';
import { EXIT } from './exit-codes.ts';
import { type Format, paint, table } from './output.ts';
import { localTimes, Moment } from './times.ts';

export interface AuditStanding {
  signed: { node: string; size: number }[];
  conflicts: { node: string; peer: string; why: string; proof: ProofText }[];
}

/** The answer of the agent: the root in hex. */
export type AuditVerification = { ok: true; records: number; root: string } | { ok: false; index: number; reason: string };

export async function auditVerify(directory: string | undefined, format: Format): Promise<number> {
  const check = await callAgent<AuditVerification>(directory, 'GET', '/v1/audit/verification');
  printWhole(format, { ...check }, () =>
    check.ok
      ? `${paint('green', 'intact')}  ${counted(check.records, 'record')}, root ${check.root}`
      : `${paint('red', 'BROKEN')}  at record ${check.index}: ${check.reason}`,
  );
  return check.ok ? EXIT.ok : EXIT.auditBroken;
}

/** Members with a tampered audit, each with its proof; and the members that signed this agent's audit. */
export async function auditConflicts(directory: string | undefined, node: string | undefined, format: Format): Promise<number> {
  const standing = await callAgent<AuditStanding>(directory, 'GET', '/v1/audit/standing');
  if (node !== undefined) {
    const one = standing.conflicts.find((conflict) => conflict.node === node || conflict.peer === node);
    if (one === undefined)
      throw new KalosError('usage', `no conflict is known for the audit of ${node}`, 'see: kalos audit conflicts');
    process.stdout.write(`${JSON.stringify(one.proof, null, 2)}\n`);
    return EXIT.ok;
  }
  printWhole(format, { ...standing }, () => {
    const signed = standing.signed.map((one) => `${one.node} (${one.size})`).join(', ');
    const conflicts = standing.conflicts.map((one) => [one.node, one.why]);
    const first = `this agent’s audit is signed by ${signed === '' ? 'no member yet' : signed}`;
    return conflicts.length === 0 ? first : `${first}\n${table(['node', 'reason'], conflicts)}`;
  });
  return standing.conflicts.length === 0 ? EXIT.ok : EXIT.auditBroken;
}

export async function auditList(directory: string | undefined, count: number, format: Format): Promise<number> {
  const records = await callAgent<AuditRecord[]>(directory, 'GET', `/v1/audit/records/last/${count}`);
  printRows(format, {
    headers: ['index', 'at', 'kind', 'about', 'what'],
    rows: records.map(({ index, atMs, kind, subject, text }) => [
      index,
      new Moment(atMs),
      kind,
      subject,
      format === 'csv' ? text : localTimes(text),
    ]),
    data: { records },
  });
  return EXIT.ok;
}

/** Prints a proof as JSON: that the log has a record; or, with `since`, that its first `since` records are unchanged. */
export async function auditProve(
  directory: string | undefined,
  index: number | undefined,
  since: number | undefined,
): Promise<number> {
  if ((index === undefined) === (since === undefined))
    throw new KalosError('usage', 'give a record index, or --since SIZE for a consistency proof');
  const path = since === undefined ? `records/${index}/proof` : `consistency/${since}`;
  const proof = await callAgent<ProofText>(directory, 'GET', `/v1/audit/${path}`);
  process.stdout.write(`${JSON.stringify(proof, null, 2)}\n`);
  return EXIT.ok;
}

/** Checks a proof offline, against the signer's key. */
export async function auditCheck(file: string, format: Format): Promise<number> {
  const content = readProof(file);
  const proof = proofSchema.safeParse(content);
  if (!proof.success)
    throw new KalosError(
      'usage',
      `${file} is not a proof: ${wordsOf(proof.error, content)}`,
      'create one with: kalos audit prove',
    );
  const { makeVerifier } = await import('../../swarm/libp2p/identity.ts');
  const verifier = makeVerifier();
  const check = checkProof(proof.data, verifier);
  if (proof.data.type === 'conflict') {
    const { earlier, later } = proof.data;
    const why = conflictOf(verifier, proof.data) ?? check.valid;
    const shown = { ...check, type: 'conflict', signer: earlier.signer, why };
    printWhole(format, shown, () =>
      check.valid
        ? `${paint('red', 'PROVEN')}  ${why}: ${earlier.signer} signed ${counted(earlier.size, 'record')}, then a log of ${later.size} without them`
        : `${paint('red', 'NOT valid')}  ${check.reason}`,
    );
    return check.valid ? EXIT.ok : EXIT.auditBroken;
  }
  const about =
    proof.data.type === 'inclusion' ? `record ${proof.data.record.index}` : `the first ${counted(proof.data.oldSize, 'record')}`;
  const shown = { ...check, type: proof.data.type, signer: proof.data.head.signer, size: proof.data.head.size };
  printWhole(format, shown, () =>
    check.valid
      ? `${paint('green', 'valid')}  ${about}, in the log of ${shown.signer} at ${counted(shown.size, 'record')}`
      : `${paint('red', 'NOT valid')}  ${check.reason}`,
  );
  return check.valid ? EXIT.ok : EXIT.auditBroken;
}

function readProof(file: string): unknown {
  try {
    return JSON.parse(readInput(file).toString('utf8'));
  } catch (error) {
    throw new KalosError('usage', `${file} is not a proof: ${reasonOf(error)}`, 'create one with: kalos audit prove');
  }
}
