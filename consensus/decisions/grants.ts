// What the swarm allows an agent, or denies it: one tool on one target of one machine, until a time. The issuer that decided it signs it.
// The machine checks the signature itself, so that a leader that lies can allow nothing.
import { z } from 'zod';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { type Crypto, SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';

const DOMAIN = 'kalos/grant/1';
const MAX_GRANTS = 1_000;

/**
 * `deny`: policies there must not use the tool. `act`: they use it without approval although the mode is `advise`, if it is reversible.
 * `approve`: they use it although it is disruptive and there are too few witnesses, within limits and with a lease.
 */
export const EFFECTS = ['deny', 'act', 'approve'] as const;
export type Effect = (typeof EFFECTS)[number];

export const grantShape = {
  effect: z.enum(EFFECTS),
  peer: z.string().min(1).max(100),
  tool: z.string().regex(/^[a-z]+(\.[a-z]+)+$/, 'a tool such as service.restart'),
  /** Null: any target. Only for `deny`. */
  target: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[^*?]+$/, 'must be one target, no wildcards')
    .nullable(),
  uses: z.number().int().min(1).max(100),
  withinMs: z.number().int().min(60_000).max(2_592_000_000),
  untilMs: z.number().int().nonnegative(),
  signature: z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === SIGNATURE_BYTES),
};
const grantSchema = z.strictObject({ id: z.string(), by: z.string(), reason: z.string(), ...grantShape });
export type Grant = z.infer<typeof grantSchema>;
export const grantsSchema = z.array(grantSchema);

export type Granted = Omit<Grant, 'id' | 'by' | 'reason' | 'signature'>;

export const grantBytes = (
  swarmId: string,
  by: PeerId,
  { effect, peer, tool, target, uses, withinMs, untilMs }: Granted,
): Uint8Array => encodeCbor([DOMAIN, swarmId, by, effect, peer, tool, target, uses, withinMs, untilMs]);

/** Whether the signature is valid. Whether the signer may decide it, the roster tells. */
export const isGrantSigned = (crypto: Pick<Crypto, 'verify'>, swarmId: string, grant: Grant): boolean =>
  crypto.verify(grant.by, grantBytes(swarmId, grant.by, grant), grant.signature);

export class Grants {
  #byId = new Map<string, Grant>();

  /** The grants of a member that have not expired. */
  of(peer: PeerId, nowMs: number): Grant[] {
    return this.all(nowMs).filter((one) => one.peer === peer);
  }

  all(nowMs: number): Grant[] {
    return [...this.#byId.values()].filter(({ untilMs }) => untilMs > nowMs);
  }

  /** Both @return a refusal, after which nothing has changed; undefined if it was applied. */
  grant({ atMs, ...given }: Grant & { atMs: number }): string | undefined {
    const { id, by, reason, effect, peer, tool, target, uses, withinMs, untilMs, signature } = given;
    const grant: Grant = { id, by, reason, effect, peer, tool, target, uses, withinMs, untilMs, signature };
    if (grant.target === null && grant.effect !== 'deny') return 'act and approve need a target';
    for (const one of [...this.#byId.values()]) if (one.untilMs <= atMs) this.#byId.delete(one.id);
    if (grant.untilMs <= atMs) return 'the end of the grant is in the past';
    if (this.#byId.size >= MAX_GRANTS) return `there are ${MAX_GRANTS} grants already: revoke one first`;
    this.#byId.set(grant.id, grant);
    return undefined;
  }

  revoke(grant: string): string | undefined {
    return this.#byId.delete(grant) ? undefined : 'there is no such grant';
  }

  encodable(): Grant[] {
    return [...this.#byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  restore(grants: readonly Grant[]): void {
    this.#byId = new Map(grants.map((one) => [one.id, one]));
  }
}
