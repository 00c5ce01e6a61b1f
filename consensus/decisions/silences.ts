// Silences of the swarm: findings of a policy, about a target, or both, cause no action on any machine until a time.
import type { PeerId } from '../../swarm/ports/transport.ts';

const MAX_SILENCES = 256;

export interface SwarmSilence {
  id: string;
  by: PeerId;
  policy: string | null;
  target: string | null;
  untilMs: number;
  reason: string;
}

export class SwarmSilences {
  #byId = new Map<string, SwarmSilence>();

  all(nowMs: number): SwarmSilence[] {
    return this.encodable().filter(({ untilMs }) => untilMs > nowMs);
  }

  /** The silence that covers a finding; undefined if none does. */
  on(policy: string, target: string, nowMs: number): SwarmSilence | undefined {
    return this.all(nowMs).find((one) => (one.policy ?? policy) === policy && (one.target ?? target) === target);
  }

  /** Both @return a refusal, after which nothing has changed; undefined if it was applied. */
  add({ id, by, atMs, policy, target, untilMs, reason }: SwarmSilence & { atMs: number }): string | undefined {
    if (policy === null && target === null) return 'a silence needs a policy or a target';
    for (const one of [...this.#byId.values()]) if (one.untilMs <= atMs) this.#byId.delete(one.id);
    if (this.#byId.size >= MAX_SILENCES) return `there are ${MAX_SILENCES} silences already: remove one first`;
    this.#byId.set(id, { id, by, policy, target, untilMs, reason });
    return undefined;
  }

  lift(id: string): string | undefined {
    return this.#byId.delete(id) ? undefined : 'there is no such silence';
  }

  encodable(): SwarmSilence[] {
    return [...this.#byId.values()];
  }

  restore(silences: readonly SwarmSilence[]): void {
    this.#byId = new Map(silences.map((one) => [one.id, one]));
  }
}
