// The exchange that begins a connection: each peer shows its certificate and sends its verdict on the other. Three messages: the dialer's
// hello; the listener's verdict with its own hello; the dialer's verdict.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../dissemination/cbor.ts';
import { MAX_NAME } from './record.ts';
import { TOKEN_SECRET_BYTES } from './token.ts';

/** The newest version, which identifies the run of an agent; and the previous one, which is used with peers that know no other. */
const HELLO_VERSION = 2;
const VERSION_BEFORE = 1;
export const MAX_HELLO_BYTES = 16 * 1024;
const MAX_TEXT = 300;
const MAX_GRANTED = 32;
/** The position of the other peer's hello in an answer, after the version. */
const ANSWERS_HELLO = 1;

/** Why a peer is not admitted. */
export const REFUSALS = ['malformed', 'swarm', 'stranger', 'token', 'expired', 'clock', 'revoked', 'failed', 'twin'] as const;
/** How many of them the previous version knows. */
const REFUSALS_BEFORE = REFUSALS.indexOf('twin');
export type Refusal = (typeof REFUSALS)[number];

export interface Redeem {
  id: Uint8Array;
  secret: Uint8Array;
  /** The name that the newcomer asks for. */
  name: string;
}

export interface Hello {
  swarmId: string;
  wallMs: number;
  /** Its newest member certificate, and the record of its issuer. */
  certificate: Uint8Array | undefined;
  issuer: Uint8Array | undefined;
  redeem: Redeem | undefined;
  /** Identifies the run of the agent (instances.ts); undefined in the previous version. */
  instance: Uint8Array | undefined;
}

export interface Grant {
  genesis: Uint8Array;
  records: readonly Uint8Array[];
}

export interface Answer {
  refusal: { code: Refusal; text: string } | undefined;
  hello: Hello | undefined;
  grant: Grant | undefined;
  /** With the refusal `twin`: the proof that another run of the refused agent is connected. */
  proof: Uint8Array | undefined;
}

/** The verdict of one side on the other. */
export type Judged = Omit<Answer, 'hello'>;
export const refused = (code: Refusal, text: string, proof?: Uint8Array): Judged => ({
  refusal: { code, text },
  grant: undefined,
  proof,
});
export const granted = (grant: Grant | undefined): Judged => ({ refusal: undefined, grant, proof: undefined });

const bytesSchema = z.instanceof(Uint8Array);
const helloParts = [
  z.string().length(32),
  z.number().nonnegative(),
  bytesSchema.nullable(),
  bytesSchema.nullable(),
  z
    .tuple([bytesSchema, bytesSchema.refine((secret) => secret.length === TOKEN_SECRET_BYTES), z.string().min(1).max(MAX_NAME)])
    .nullable(),
] as const;
const helloSchema = z.union([
  z.tuple([z.literal(HELLO_VERSION), ...helloParts, bytesSchema]),
  z.tuple([z.literal(VERSION_BEFORE), ...helloParts]),
]);
const answerParts = [
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
] as const;
const answerSchema = z.union([
  z.tuple([z.literal(HELLO_VERSION), ...answerParts, bytesSchema.nullable()]),
  z.tuple([z.literal(VERSION_BEFORE), ...answerParts]),
]);

const wireOf = ({ swarmId, wallMs, certificate, issuer, redeem, instance }: Hello): unknown[] => [
  instance === undefined ? VERSION_BEFORE : HELLO_VERSION,
  swarmId,
  Math.round(wallMs),
  certificate ?? null,
  issuer ?? null,
  redeem === undefined ? null : [redeem.id, redeem.secret, redeem.name],
  ...(instance === undefined ? [] : [instance]),
];

function helloOf([, swarmId, wallMs, certificate, issuer, redeem, instance]: z.infer<typeof helloSchema>): Hello {
  return {
    instance,
    swarmId,
    wallMs,
    certificate: certificate ?? undefined,
    issuer: issuer ?? undefined,
    redeem: redeem === null ? undefined : { id: redeem[0], secret: redeem[1], name: redeem[2] },
  };
}

export const encodeHello = (hello: Hello): Uint8Array => encodeCbor(wireOf(hello));

/** Undefined if malformed, or of another version. */
export function parseHello(bytes: Uint8Array): Hello | undefined {
  const wire = bytes.length > MAX_HELLO_BYTES ? undefined : helloSchema.safeParse(decodeCbor(bytes)).data;
  return wire && helloOf(wire);
}

const laterSchema = z.tuple([z.int().gt(HELLO_VERSION)], z.unknown());

/** Whether unreadable bytes are of a later version of this exchange. */
export function isLaterHello(bytes: Uint8Array): boolean {
  return bytes.length <= MAX_HELLO_BYTES && laterSchema.safeParse(decodeCbor(bytes)).success;
}

export function encodeAnswer({ refusal, hello, grant, proof }: Answer): Uint8Array {
  return encodeCbor([
    HELLO_VERSION,
    refusal === undefined ? null : [REFUSALS.indexOf(refusal.code), refusal.text.slice(0, MAX_TEXT)],
    hello === undefined ? null : wireOf(hello),
    grant === undefined ? null : [grant.genesis, grant.records],
    proof ?? null,
  ]);
}

const arraySchema = z.array(z.unknown()).min(1);

/** A hello or an answer for a peer that knows only the previous version. */
export function asBefore(bytes: Uint8Array): Uint8Array {
  return encodeCbor(wireBefore(arraySchema.parse(decodeCbor(bytes))));
}

function wireBefore([version, ...parts]: unknown[]): unknown[] {
  if (version !== HELLO_VERSION) return [version, ...parts];
  const isAnswer = parts.length === answerParts.length + 1;
  const before = parts.slice(0, -1).map((part, at) => {
    if (!isAnswer || !Array.isArray(part)) return part;
    if (at === ANSWERS_HELLO) return wireBefore(part);
    return at === 0 && Number(part[0]) >= REFUSALS_BEFORE ? [REFUSALS.indexOf('failed'), part[1]] : part;
  });
  return [VERSION_BEFORE, ...before];
}

export function parseAnswer(bytes: Uint8Array): Answer | undefined {
  const wire = bytes.length > MAX_HELLO_BYTES ? undefined : answerSchema.safeParse(decodeCbor(bytes)).data;
  if (wire === undefined) return undefined;
  const [, refusal, hello, grant, proof] = wire;
  return {
    proof: proof ?? undefined,
    refusal: refusal === null ? undefined : { code: REFUSALS[refusal[0]] ?? 'failed', text: refusal[1] },
    hello: hello === null ? undefined : helloOf(hello),
    grant: grant === null ? undefined : { genesis: grant[0], records: grant[1] },
  };
}
