// Irreversible changes (R3): drafted on the machine that they are for, signed by two operators anywhere, and executed once on that machine,
// if their targets have not changed since the draft.
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
/** Longer than any signed change is valid. */
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

  /** Forgets changes that were used so long ago that they have expired. */
  async open(): Promise<void> {
    const { store, clock } = this.#ports;
    const used = await store.range(USED_PREFIX, { limit: MAX_USED });
    const old = used.filter(([, value]) => Number(decodeCbor(value)) + FORGET_USED_MS < clock.wallMs());
    if (old.length > 0) await store.write(old.map(([key]) => ({ kind: 'delete', key })));
  }

  /** A draft for two operators to sign. @throws ChangeRefused, z.ZodError */
  async draft(inputs: readonly unknown[], reason: string, forMs: number): Promise<SignedChange> {
    const { crypto, clock, random } = this.#ports;
    const { verdict, diff, calls, before } = await this.#place.executor.preview(inputs, 'operators');
    if (verdict.kind !== 'go') throw new ChangeRefused('reason' in verdict ? verdict.reason : 'the change is not permitted');
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

  /** Executes what two operators have signed. @throws ChangeRefused */
  async commit(change: SignedChange): Promise<Performed & { plan: string }> {
    const { store, clock, crypto } = this.#ports;
    const { executor, roster } = this.#place;
    const context = { crypto, roster, peer: crypto.self, nowMs: clock.wallMs() };
    const refused = changeRefusal(change, context);
    if (refused !== undefined) throw new ChangeRefused(refused);
    const key = `${USED_PREFIX}${change.nonce}`;
    if ((await store.get(key)) !== undefined)
      throw new ChangeRefused('the change was already executed or started: draft a new one');
    const { calls, before, verdict } = await executor.preview(change.calls, 'operators');
    if (verdict.kind !== 'go') throw new ChangeRefused('reason' in verdict ? verdict.reason : 'the change is not permitted');
    const changed = this.#changed(change, calls, before);
    if (changed !== undefined) throw new ChangeRefused(changed);
    await store.write([{ kind: 'put', key, value: encodeCbor(clock.wallMs()) }]);
    const plan = executor.operatorPlan(calls, `${change.reason}; signed by ${signersOf(change, context).join(' and ')}`);
    const unchanged = (now: readonly Snapshot[]): string | undefined => this.#changed(change, calls, now);
    const { tools } = digests(crypto, calls, before);
    const authorization = encodeAuthorization({ ...context, tools }, changeProof(change));
    const performed = await executor.perform(plan, 'operators', { unchanged, authorization });
    return { ...performed, plan: plan.id };
  }

  #changed(change: SignedChange, calls: readonly ToolCall[], before: readonly Snapshot[]): string | undefined {
    const is = this.#digests(calls, before);
    if (is.before !== change.before) return 'the target has changed since the draft: draft a new one';
    return is.callsDigest === change.callsDigest
      ? undefined
      : 'the change is for other arguments, or another version of the tool';
  }
}
