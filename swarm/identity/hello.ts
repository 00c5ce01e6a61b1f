// What two peers say to each other on a new connection, before anything else: who each is, by its certificate, and what each
// thinks of the other. Three messages: the dialer's hello; the listener's verdict with its own hello; the dialer's verdict.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../dissemination/cbor.ts';
import { MAX_NAME } from './record.ts';
import { TOKEN_SECRET_BYTES } from './token.ts';

const HELLO_VERSION = 1;
export const MAX_HELLO_BYTES = 16 * 1024;
const MAX_TEXT = 300;
const MAX_GRANTED = 32;

/** Why a peer is not let in. */
export const REFUSALS = ['malformed', 'swarm', 'stranger', 'token', 'expired', 'clock', 'revoked', 'failed'] as const;
export type Refusal = (typeof REFUSALS)[number];

export interface Redeem {
  id: Uint8Array;
  secret: Uint8Array;
  /** What the newcomer would be called. */
  name: string;
}

export interface Hello {
  swarmId: string;
  wallMs: number;
  /** Its newest member certificate, and the record of who issued it. */
  certificate: Uint8Array | undefined;
  issuer: Uint8Array | undefined;
  redeem: Redeem | undefined;
}

export interface Grant {
  genesis: Uint8Array;
  records: readonly Uint8Array[];
}

export interface Answer {
  refusal: { code: Refusal; text: string } | undefined;
  hello: Hello | undefined;
  grant: Grant | undefined;
}

const bytesSchema = z.instanceof(Uint8Array);
const helloSchema = z.tuple([
  z.literal(HELLO_VERSION),
  z.string().length(32),
  z.number().nonnegative(),
  bytesSchema.nullable(),
  bytesSchema.nullable(),
  z
    .tuple([bytesSchema, bytesSchema.refine((secret) => secret.length === TOKEN_SECRET_BYTES), z.string().min(1).max(MAX_NAME)])
    .nullable(),
]);
const answerSchema = z.tuple([
  z.literal(HELLO_VERSION),
  z
    .tuple([
      z
        .number()
        .int()
        .min(0)
        .max(REFUSALS.length - 1),
      z.string().max(MAX_TEXT),
    ])
    .nullable(),
  helloSchema.nullable(),
  z.tuple([bytesSchema, z.array(bytesSchema).max(MAX_GRANTED)]).nullable(),
]);

const wireOf = ({ swarmId, wallMs, certificate, issuer, redeem }: Hello): unknown[] => [
  HELLO_VERSION,
  swarmId,
  Math.round(wallMs),
  certificate ?? null,
  issuer ?? null,
  redeem === undefined ? null : [redeem.id, redeem.secret, redeem.name],
];

function helloOf([, swarmId, wallMs, certificate, issuer, redeem]: z.infer<typeof helloSchema>): Hello {
  return {
    swarmId,
    wallMs,
    certificate: certificate ?? undefined,
    issuer: issuer ?? undefined,
    redeem: redeem === null ? undefined : { id: redeem[0], secret: redeem[1], name: redeem[2] },
  };
}

export const encodeHello = (hello: Hello): Uint8Array => encodeCbor(wireOf(hello));

/** Undefined where it is malformed, or of another version. */
export function parseHello(bytes: Uint8Array): Hello | undefined {
  const wire = bytes.length > MAX_HELLO_BYTES ? undefined : helloSchema.safeParse(decodeCbor(bytes)).data;
  return wire && helloOf(wire);
}

const laterSchema = z.tuple([z.int().gt(HELLO_VERSION)], z.unknown());

/** Whether what cannot be read is of a later version of this exchange. */
export function isLaterHello(bytes: Uint8Array): boolean {
  return bytes.length <= MAX_HELLO_BYTES && laterSchema.safeParse(decodeCbor(bytes)).success;
}

export function encodeAnswer({ refusal, hello, grant }: Answer): Uint8Array {
  return encodeCbor([
    HELLO_VERSION,
    refusal === undefined ? null : [REFUSALS.indexOf(refusal.code), refusal.text.slice(0, MAX_TEXT)],
    hello === undefined ? null : wireOf(hello),
    grant === undefined ? null : [grant.genesis, grant.records],
  ]);
}

export function parseAnswer(bytes: Uint8Array): Answer | undefined {
  const wire = bytes.length > MAX_HELLO_BYTES ? undefined : answerSchema.safeParse(decodeCbor(bytes)).data;
  if (wire === undefined) return undefined;
  const [, refusal, hello, grant] = wire;
  return {
    refusal: refusal === null ? undefined : { code: REFUSALS[refusal[0]] ?? 'failed', text: refusal[1] },
    hello: hello === null ? undefined : helloOf(hello),
    grant: grant === null ? undefined : { genesis: grant[0], records: grant[1] },
  };
}
