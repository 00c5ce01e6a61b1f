// An order: changes on one machine that operators sign, as it goes from one of them to the other in a file.
import { z } from 'zod';
import { encodeCbor, fromHex, toHex } from '../../swarm/dissemination/cbor.ts';
import type { Roster } from '../../swarm/identity/roster.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';

const DOMAIN = 'kalos/order/1';
export const OPERATORS_NEEDED = 2;
export const MAX_CHANGE_MS = 86_400_000;
const MAX_CALLS = 8;
const MAX_SIGNATURES = 16;

const hex = z
  .string()
  .max(1_000)
  .regex(/^([0-9a-f]{2})*$/);
/** As it is in the file that goes from one operator to the other. */
export const signedChangeSchema = z.strictObject({
  v: z.literal(1),
  swarm: z.string().max(100),
  /** The machine: its name is for those who read it, its peer id is what counts. */
  node: z.string().max(100),
  peer: z.string().max(100),
  calls: z.array(z.record(z.string(), z.json())).min(1).max(MAX_CALLS),
  /** What would change, in words. */
  diff: z.array(z.string().max(1_000)).max(1_000),
  reason: z.string().min(1).max(200),
  /** Of the tools with their versions and arguments and the steps that they take, and of how what they are on was. */
  callsDigest: hex,
  before: hex,
  nonce: hex,
  untilMs: z.number().int().positive(),
  signatures: z.array(z.strictObject({ by: z.string().max(100), signature: hex })).max(MAX_SIGNATURES),
});
export type SignedChange = z.infer<typeof signedChangeSchema>;

/** What an operator signs: all of the file but the signatures. */
export const changeBytes = ({ signatures: _signatures, ...order }: SignedChange): Uint8Array =>
  encodeCbor([DOMAIN, JSON.stringify(Object.entries(order).sort(([a], [b]) => (a < b ? -1 : 1)))]);

/** @throws where the key is none */
export async function signChange(order: SignedChange, signer: Pick<Crypto, 'self' | 'sign'>): Promise<SignedChange> {
  const others = order.signatures.filter(({ by }) => by !== signer.self);
  return { ...order, signatures: [...others, { by: signer.self, signature: toHex(signer.sign(changeBytes(order))) }] };
}

/** Who judges an order, and when. */
interface Judging {
  crypto: Pick<Crypto, 'verify'>;
  roster: Roster;
  /** The machine that it is to be for. */
  peer: string;
  nowMs: number;
}

/** Why an order is not carried out, as far as the order itself tells: whether it was before, and what it is on, are others' to say. */
export function changeRefusal(order: SignedChange, judging: Judging): string | undefined {
  const { roster, peer, nowMs } = judging;
  if (order.swarm !== roster.swarmId || order.peer !== peer) return `it is for ${order.node}, not for this machine`;
  if (order.untilMs <= nowMs) return 'it has ended: draft it again';
  if (order.untilMs > nowMs + 2 * MAX_CHANGE_MS) return 'it would hold for too long';
  const signers = signersOf(order, judging);
  if (signers.length >= OPERATORS_NEEDED) return undefined;
  return `${OPERATORS_NEEDED} operators must sign it, and ${signers.length} ${signers.length === 1 ? 'has' : 'have'}: kalos change sign FILE --operator-key KEY`;
}

/** Operators of now whose signatures hold, by name, each once. */
export function signersOf(order: SignedChange, { crypto, roster, nowMs }: Omit<Judging, 'peer'>): string[] {
  const bytes = changeBytes(order);
  const operators = roster.operators().filter(({ untilMs }) => untilMs > nowMs);
  const signed = order.signatures.flatMap(({ by, signature }) => {
    const operator = operators.find(({ subject }) => subject === by);
    return operator !== undefined && crypto.verify(by, bytes, fromHex(signature)) ? [operator.name] : [];
  });
  return [...new Set(signed)];
}
