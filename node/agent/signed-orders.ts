// Changes that cannot be taken back (R3): drafted on the machine that they are for, signed by two operators, wherever they are, and
// carried out there once, while all is as it was when they signed.
import { z } from 'zod';
import { encodeCbor, fromHex, toHex } from '../../swarm/dissemination/cbor.ts';
import type { Roster } from '../../swarm/identity/roster.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { Ports } from '../../swarm/ports/ports.ts';
import type { Snapshot } from '../action/tool.ts';
import type { ToolCall } from '../tool-call.ts';
import type { Executor, Performed } from './executor.ts';
import { digests } from './permits.ts';

const DOMAIN = 'kalos/order/1';
export const OPERATORS_NEEDED = 2;
export const MOST_ORDER_MS = 86_400_000;
const NONCE_BYTES = 16;
const USED_PREFIX = 'order-used/';
const MAX_CALLS = 8;
const MAX_SIGNATURES = 16;

const hex = z
  .string()
  .max(1_000)
  .regex(/^([0-9a-f]{2})*$/);
/** As it is in the file that goes from one operator to the other. */
export const orderSchema = z.strictObject({
  v: z.literal(1),
  swarm: z.string().max(100),
  /** The machine: its name is for those who read it, its peer id is what counts. */
  node: z.string().max(100),
  peer: z.string().max(100),
  calls: z.array(z.record(z.string(), z.json())).min(1).max(MAX_CALLS),
  /** What would change, in words. */
  diff: z.array(z.string().max(1_000)).max(1_000),
  reason: z.string().min(1).max(200),
  /** Of the tools with their versions and arguments, and of how what they are on was. */
  callsDigest: hex,
  before: hex,
  nonce: hex,
  untilMs: z.number().int().positive(),
  signatures: z.array(z.strictObject({ by: z.string().max(100), signature: hex })).max(MAX_SIGNATURES),
});
export type SignedOrder = z.infer<typeof orderSchema>;

/** What an operator signs: all of the file but the signatures. */
export const orderBytes = ({ signatures: _signatures, ...order }: SignedOrder): Uint8Array =>
  encodeCbor([DOMAIN, JSON.stringify(Object.entries(order).sort(([a], [b]) => (a < b ? -1 : 1)))]);

export class OrderRefused extends Error {}

export interface OrderPlace {
  name: string;
  swarmId: string;
  roster: Roster;
  executor: Executor;
}

export class SignedOrders {
  readonly #ports: Ports;
  readonly #place: OrderPlace;

  constructor(ports: Ports, place: OrderPlace) {
    this.#ports = ports;
    this.#place = place;
  }

  /** What two operators are to sign. @throws OrderRefused, z.ZodError */
  async draft(inputs: readonly unknown[], reason: string, forMs: number): Promise<SignedOrder> {
    const { crypto, clock, random } = this.#ports;
    const { verdict, diff, calls, before } = await this.#place.executor.preview(inputs, 'operators');
    if (verdict.kind !== 'go') throw new OrderRefused('reason' in verdict ? verdict.reason : 'it may not be done');
    return {
      v: 1,
      swarm: this.#place.swarmId,
      node: this.#place.name,
      peer: crypto.self,
      calls: calls.map((call) => z.record(z.string(), z.json()).parse(call)),
      diff,
      reason,
      ...this.#digests(calls, before),
      nonce: toHex(random.bytes(NONCE_BYTES)),
      untilMs: Math.round(clock.wallMs() + forMs),
      signatures: [],
    };
  }

  #digests(calls: readonly ToolCall[], before: readonly Snapshot[]): { callsDigest: string; before: string } {
    const is = digests(this.#ports, calls, before);
    return { callsDigest: toHex(is.calls), before: toHex(is.precondition) };
  }

  /** Carries out what two operators have signed. @throws OrderRefused */
  async commit(order: SignedOrder): Promise<Performed & { plan: string }> {
    const { store, clock } = this.#ports;
    const { executor } = this.#place;
    const refused = this.#refusal(order);
    if (refused !== undefined) throw new OrderRefused(refused);
    const key = `${USED_PREFIX}${order.nonce}`;
    if ((await store.get(key)) !== undefined) throw new OrderRefused('it was carried out already, or begun: draft it anew');
    const { calls, before, verdict } = await executor.preview(order.calls, 'operators');
    if (verdict.kind !== 'go') throw new OrderRefused('reason' in verdict ? verdict.reason : 'it may not be done');
    const changed = this.#changed(order, calls, before);
    if (changed !== undefined) throw new OrderRefused(changed);
    await store.write([{ kind: 'put', key, value: encodeCbor(clock.wallMs()) }]);
    const plan = executor.operatorPlan(calls, `${order.reason}; signed by ${this.#signers(order).join(' and ')}`);
    const quiet = async (): Promise<void> => undefined;
    const unchanged = (now: readonly Snapshot[]): string | undefined => this.#changed(order, calls, now);
    const performed = await executor.perform(plan, 'operators', { asked: quiet, intended: quiet, unchanged });
    return { ...performed, plan: plan.id };
  }

  #refusal(order: SignedOrder): string | undefined {
    const { crypto, clock } = this.#ports;
    const nowMs = clock.wallMs();
    if (order.swarm !== this.#place.swarmId || order.peer !== crypto.self) return `it is for ${order.node}, not for this machine`;
    if (order.untilMs <= nowMs) return 'it has ended: draft it anew';
    if (order.untilMs > nowMs + 2 * MOST_ORDER_MS) return 'it would hold for too long';
    const signers = this.#signers(order);
    if (signers.length >= OPERATORS_NEEDED) return undefined;
    return `${OPERATORS_NEEDED} operators must sign it, and ${signers.length} ${signers.length === 1 ? 'has' : 'have'}: kalos order sign FILE --operator-key KEY`;
  }

  /** Operators of now whose signatures hold, by name, each once. */
  #signers(order: SignedOrder): string[] {
    const { crypto, clock } = this.#ports;
    const bytes = orderBytes(order);
    const operators = this.#place.roster.operators().filter(({ untilMs }) => untilMs > clock.wallMs());
    const signed = order.signatures.flatMap(({ by, signature }) => {
      const operator = operators.find(({ subject }) => subject === by);
      return operator !== undefined && crypto.verify(by, bytes, fromHex(signature)) ? [operator.name] : [];
    });
    return [...new Set(signed)];
  }

  #changed(order: SignedOrder, calls: readonly ToolCall[], before: readonly Snapshot[]): string | undefined {
    const is = this.#digests(calls, before);
    if (is.callsDigest !== order.callsDigest) return 'it is for other arguments, or another version of the tool';
    return is.before === order.before ? undefined : 'what it is on has changed since it was drafted: draft it anew';
  }
}

/** @throws where the key is none */
export async function signOrder(order: SignedOrder, signer: Pick<Crypto, 'self' | 'sign'>): Promise<SignedOrder> {
  const others = order.signatures.filter(({ by }) => by !== signer.self);
  return { ...order, signatures: [...others, { by: signer.self, signature: toHex(signer.sign(orderBytes(order))) }] };
}
