// A signed change: tool calls for one machine that operators sign. It goes from one operator to the other in a file.
import { z } from 'zod';
import { encodeCbor, fromHex, toHex } from '../../swarm/dissemination/cbor.ts';
import type { Roster } from '../../swarm/identity/roster.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';

const DOMAIN = 'kalos/order/1';
export const OPERATORS_NEEDED = 2;
export const MAX_CHANGE_MS = 86_400_000;
/** Longer than any draft lives: its clock may be ahead. */
const MAX_AHEAD_MS = 2 * MAX_CHANGE_MS;
const MAX_CALLS = 8;
const MAX_SIGNATURES = 16;

const hex = z
  .string()
  .max(1_000)
  .regex(/^([0-9a-f]{2})*$/);
/** The content of that file. */
export const signedChangeSchema = z.strictObject({
  v: z.literal(1),
  swarm: z.string().max(100),
  /** The machine: its name is for readers, its peer id counts. */
  node: z.string().max(100),
  peer: z.string().max(100),
  calls: z.array(z.record(z.string(), z.json())).min(1).max(MAX_CALLS),
  /** What would change, for readers. */
  diff: z.array(z.string().max(1_000)).max(1_000),
  reason: z.string().min(1).max(200),
  /** Digests: of the tools with versions, arguments and steps; and of the state of their targets. */
  callsDigest: hex,
  before: hex,
  nonce: hex,
  untilMs: z.number().int().positive(),
  signatures: z.array(z.strictObject({ by: z.string().max(100), signature: hex })).max(MAX_SIGNATURES),
});
export type SignedChange = z.infer<typeof signedChangeSchema>;

/** What an operator signs: all of the file except the signatures. */
export const changeBytes = ({ signatures: _signatures, ...change }: SignedChange): Uint8Array =>
  encodeCbor([DOMAIN, JSON.stringify(Object.entries(change).sort(([a], [b]) => (a < b ? -1 : 1)))]);

/** @throws if the key is not valid */
export async function signChange(change: SignedChange, signer: Pick<Crypto, 'self' | 'sign'>): Promise<SignedChange> {
  const others = change.signatures.filter(({ by }) => by !== signer.self);
  return { ...change, signatures: [...others, { by: signer.self, signature: toHex(signer.sign(changeBytes(change))) }] };
}

/** By what a signed change is checked. */
interface CheckContext {
  crypto: Pick<Crypto, 'verify'>;
  roster: Roster;
  /** The machine that it must be for. */
  peer: string;
  nowMs: number;
}

/** Why a signed change is not executed, by its own content. Callers check whether it was executed before, and its target. */
export function changeRefusal(change: SignedChange, context: CheckContext): string | undefined {
  const { roster, peer, nowMs } = context;
  if (change.swarm !== roster.swarmId || change.peer !== peer) return `the change is for ${change.node}, not for this machine`;
  if (change.untilMs <= nowMs) return 'the signed change has expired: draft a new one';
  if (change.untilMs > nowMs + MAX_AHEAD_MS)
    return `the signed change expires too late: at most ${MAX_AHEAD_MS / 3_600_000} h ahead are allowed`;
  const signers = signersOf(change, context);
  if (signers.length >= OPERATORS_NEEDED) return undefined;
  return `${OPERATORS_NEEDED} operators must sign the change, and ${signers.length} ${signers.length === 1 ? 'has' : 'have'}: kalos change sign FILE --operator-key KEY`;
}

/** Names of current operators with a valid signature, each once. */
export function signersOf(change: SignedChange, { crypto, roster, nowMs }: Omit<CheckContext, 'peer'>): string[] {
  const bytes = changeBytes(change);
  const operators = roster.operators().filter(({ untilMs }) => untilMs > nowMs);
  const signed = change.signatures.flatMap(({ by, signature }) => {
    const operator = operators.find(({ subject }) => subject === by);
    return operator !== undefined && crypto.verify(by, bytes, fromHex(signature)) ? [operator.name] : [];
  });
  return [...new Set(signed)];
}
