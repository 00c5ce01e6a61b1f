// What the local API answers about who belongs: members, join tokens, certificates, what root keys are to sign.
import { z } from 'zod';
import { memberStates } from './machine.ts';
import { bytes, count, node, peer, wallMs } from './units.ts';

const role = z.enum(['member', 'committee']);

export const memberAnswer = z
  .strictObject({
    name: node,
    peer,
    state: z.enum([...memberStates.options, 'removed']).describe('As it is seen from the agent that was asked'),
    role: z.enum([...role.options, 'unknown']),
    issuer: z.boolean().describe('It lets others in and renews certificates'),
    deputy: z.boolean().describe('It is an issuer that may do just that'),
    coordinator: z.boolean(),
    heardMs: z.number().nullable().describe('Milliseconds since its last sign of life; null where there was none'),
    version: z.string(),
    address: z.string(),
    certificateUntilMs: wallMs.nullable(),
    accusedBy: z.array(node).describe('Who cannot reach it'),
    twin: z.string().nullable().describe('That two agents have its key, and where'),
    unhealthy: z.array(z.string()).describe('Its own conditions that are bad: DiskPressure=True'),
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
        decided: count.describe('The newest decision that it knows'),
      }),
    ),
    suggested: z.string().nullable().describe('Who is there and knows most'),
    lost: count.describe('Decisions that others knew, of which nobody who is there knows'),
  })
  .meta({ id: 'Recovery' });

export const trafficAnswer = z
  .record(z.string(), z.strictObject({ bytes, writes: count }))
  .describe('By protocol, without the headers of lower layers');

const certified = { subject: peer, epoch: count, fromMs: wallMs, untilMs: wallMs };
export const memberCertificateAnswer = z
  .strictObject({ kind: z.literal('member'), ...certified, name: node, role, capabilities: z.array(z.string()) })
  .meta({ id: 'MemberCertificate' });
export const operatorsAnswer = z.array(
  z.strictObject({ kind: z.literal('operator'), ...certified, name: z.string() }).meta({ id: 'OperatorCertificate' }),
);

export const joinTokenAnswer = z.strictObject({
  token: z.string().describe('A secret: told this once'),
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
      maker: z.string().optional().describe('Which other issuer made it'),
    })
    .meta({ id: 'JoinToken' }),
);
export const networkKeyAnswer = z.strictObject({ usedFromMs: wallMs, olderUntilMs: wallMs });
export const rootDraftAnswer = z.strictObject({
  kind: z.enum(['issuer', 'member', 'operator', 'revocation', 'network', 'recovery']),
  body: z.string().describe('Hex: what the record says'),
  toSign: z.string().describe('Hex: what a root key signs'),
  needed: count.describe('Signatures'),
  atHand: count.describe('Root keys that this agent has itself'),
});
export const apiTokenMadeAnswer = z.strictObject({ token: z.string().describe('A secret: told this once'), untilMs: wallMs });
