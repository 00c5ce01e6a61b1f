// Answers of the local API about membership: members, join tokens, certificates, records for root keys to sign.
import { z } from 'zod';
import { memberStates } from './machine.ts';
import { bytes, count, node, peer, wallMs } from './units.ts';

const role = z.enum(['member', 'committee']);

export const memberAnswer = z
  .strictObject({
    name: node,
    peer,
    state: z.enum([...memberStates.options, 'removed']).describe('State as seen by the queried agent'),
    role: z.enum([...role.options, 'unknown']),
    issuer: z.boolean().describe('It admits members and renews certificates'),
    deputy: z.boolean().describe('It is a deputy: an issuer that may only do that'),
    coordinator: z.boolean(),
    heardMs: z.number().nullable().describe('Milliseconds since it was last heard; null if never'),
    version: z.string(),
    address: z.string(),
    certificateUntilMs: wallMs.nullable(),
    accusedBy: z.array(node).describe('Members that cannot reach it'),
    twin: z.string().nullable().describe('Set if two agents use its key: which ones'),
    unhealthy: z.array(z.string()).describe('Its conditions with a bad status: DiskPressure=True'),
    pausedSinceMs: wallMs.nullable(),
    drainedUntilMs: wallMs.nullable(),
  })
  .meta({ id: 'Member' });

export const recoveryAnswer = z
  .strictObject({
    coordinator: z.string().nullable(),
    members: z.array(
      z.strictObject({
        node,
        state: z.string(),
        voted: z.boolean(),
        decided: count.describe('Index of the newest decision that it knows'),
      }),
    ),
    suggested: z.string().nullable().describe('The reachable member with the newest log'),
    lost: count.describe('Decisions known only to unreachable members'),
  })
  .meta({ id: 'Recovery' });

export const trafficAnswer = z
  .record(z.string(), z.strictObject({ bytes, writes: count }))
  .describe('By protocol, without lower-layer headers');

const certified = { subject: peer, epoch: count, fromMs: wallMs, untilMs: wallMs };
export const memberCertificateAnswer = z
  .strictObject({ kind: z.literal('member'), ...certified, name: node, role, capabilities: z.array(z.string()) })
  .meta({ id: 'MemberCertificate' });
export const operatorsAnswer = z.array(
  z.strictObject({ kind: z.literal('operator'), ...certified, name: z.string() }).meta({ id: 'OperatorCertificate' }),
);

export const joinTokenAnswer = z.strictObject({
  token: z.string().describe('Secret, shown only once'),
  reachable: z.boolean().describe('Whether other machines can reach an address in it'),
});
export const joinTokensAnswer = z.array(
  z
    .strictObject({
      id: z.string(),
      role,
      expiresMs: wallMs,
      usesLeft: count,
      redeemedBy: z.array(peer),
      maker: z.string().optional().describe('The issuer that created it, if another one'),
    })
    .meta({ id: 'JoinToken' }),
);
export const networkKeyAnswer = z.strictObject({ usedFromMs: wallMs, olderUntilMs: wallMs });
export const rootDraftAnswer = z.strictObject({
  kind: z.enum(['issuer', 'member', 'operator', 'revocation', 'network', 'recovery']),
  body: z.string().describe('Hex: the content of the record'),
  toSign: z.string().describe('Hex: the bytes that a root key signs'),
  needed: count.describe('Number of signatures needed'),
  atHand: count.describe('Number of root keys that this agent has'),
});
export const apiTokenMadeAnswer = z.strictObject({ token: z.string().describe('Secret, shown only once'), untilMs: wallMs });
