// Changes that cannot be taken back (R3): drafted on the machine that they are for, signed by two operators, wherever they are, and
// carried out there once, while all is as it was when they signed.
import { z } from 'zod';
import { decodeCbor, encodeCbor, toHex } from '../../swarm/dissemination/cbor.ts';
import type { Roster } from '../../swarm/identity/roster.ts';
import { changeProof, digests, encodeAuthorization } from '../action/authorization.ts';
import { changeRefusal, MAX_CHANGE_MS, type SignedChange, signersOf } from '../action/signed-change.ts';
import type { Snapshot } from '../action/tool.ts';
import type { Ports } from '../ports/ports.ts';
import type { ToolCall } from '../tool-call.ts';
import type { Executor, Performed } from './executor.ts';

const NONCE_BYTES = 16;
const USED_PREFIX = 'order-used/';
const MAX_USED = 10_000;
/** Longer than any order holds. */
const FORGET_USED_MS = 3 * MAX_CHANGE_MS;

export class ChangeRefused extends Error {}

export interface ChangePlace {
  name: string;
  swarmId: string;
  roster: Roster;
  executor: Executor;
}

export class SignedChanges {
  readonly #ports: Ports;
  readonly #place: ChangePlace;

  constructor(ports: Ports, place: ChangePlace) {
    this.#ports = ports;
    this.#place = place;
  }

  /** What was used so long ago has ended: it needs not be remembered. */
  async open(): Promise<void> {
    const { store, clock } = this.#ports;
    const used = await store.range(USED_PREFIX, { limit: MAX_USED });
    const old = used.filter(([, value]) => Number(decodeCbor(value)) + FORGET_USED_MS < clock.wallMs());
    if (old.length > 0) await store.write(old.map(([key]) => ({ kind: 'delete', key })));
  }

  /** What two operators are to sign. @throws ChangeRefused, z.ZodError */
  async draft(inputs: readonly unknown[], reason: string, forMs: number): Promise<SignedChange> {
    const { crypto, clock, random } = this.#ports;
    const { verdict, diff, calls, before } = await this.#place.executor.preview(inputs, 'operators');
    if (verdict.kind !== 'go') throw new ChangeRefused('reason' in verdict ? verdict.reason : 'it may not be done');
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
    const is = digests(this.#ports.crypto, calls, before);
    return { callsDigest: toHex(is.calls), before: toHex(is.precondition) };
  }

  /** Carries out what two operators have signed. @throws ChangeRefused */
  async commit(order: SignedChange): Promise<Performed & { plan: string }> {
    const { store, clock, crypto } = this.#ports;
    const { executor, roster } = this.#place;
    const judging = { crypto, roster, peer: crypto.self, nowMs: clock.wallMs() };
    const refused = changeRefusal(order, judging);
    if (refused !== undefined) throw new ChangeRefused(refused);
    const key = `${USED_PREFIX}${order.nonce}`;
    if ((await store.get(key)) !== undefined) throw new ChangeRefused('it was carried out already, or begun: draft it again');
    const { calls, before, verdict } = await executor.preview(order.calls, 'operators');
    if (verdict.kind !== 'go') throw new ChangeRefused('reason' in verdict ? verdict.reason : 'it may not be done');
    const changed = this.#changed(order, calls, before);
    if (changed !== undefined) throw new ChangeRefused(changed);
    await store.write([{ kind: 'put', key, value: encodeCbor(clock.wallMs()) }]);
    const plan = executor.operatorPlan(calls, `${order.reason}; signed by ${signersOf(order, judging).join(' and ')}`);
    const unchanged = (now: readonly Snapshot[]): string | undefined => this.#changed(order, calls, now);
    const { tools } = digests(crypto, calls, before);
    const leave = encodeAuthorization({ ...judging, tools }, changeProof(order));
    const performed = await executor.perform(plan, 'operators', { unchanged, leave });
    return { ...performed, plan: plan.id };
  }

  #changed(order: SignedChange, calls: readonly ToolCall[], before: readonly Snapshot[]): string | undefined {
    const is = this.#digests(calls, before);
    if (is.before !== order.before) return 'what it is on has changed since it was drafted: draft it again';
    return is.callsDigest === order.callsDigest ? undefined : 'it is for other arguments, or another version of the tool';
  }
}
