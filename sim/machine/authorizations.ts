// Authorizations at the actuator, modelled: the twin of native/actuator/authorizations.cc. It judges by the same code as `kalos
// authorize-check`, and its record outlives agents and reboots.
import { judgeAuthorization } from '../../node/action/authorization.ts';
import { type Primitive, type Step, stepToWire } from '../../node/ports/actuator.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';

export class Authorizations {
  readonly #crypto: Crypto;
  #memory = new Uint8Array();
  /** Services that need an authorization for each change: `certify service NAME` of the actuator's policy. */
  certified: ReadonlySet<string> = new Set();
  /** Authorizations that were accepted, and the reasons for refusals. */
  given = 0;
  readonly refused: string[] = [];
  /** The newest one that was shown. */
  shown: Uint8Array | undefined;

  constructor(crypto: Crypto) {
    this.#crypto = crypto;
  }

  /** Why steps are not armed; a used authorization is recorded immediately. */
  refusal(id: string, steps: readonly Step[], authorization: Uint8Array | undefined, nowMs: number): string | undefined {
    if (authorization === undefined) {
      const all = steps.flatMap((step) => [step.do, ...(step.undo === undefined ? [] : [step.undo])]);
      const name = all.map((primitive) => this.#certifiedBy(primitive)).find((one) => one !== undefined);
      return name && `it needs an authorization: certify service ${name}`;
    }
    this.shown = authorization;
    const wire = decodeCbor(encodeCbor(steps.map(stepToWire)));
    const question = { id, steps: wire, leave: authorization, memory: this.#memory, nowMs, pinned: false };
    const answer = judgeAuthorization(this.#crypto, question);
    if (answer.ok) {
      this.#memory = new Uint8Array(answer.memory);
      this.given++;
      return undefined;
    }
    this.refused.push(answer.reason);
    return `its authorization does not hold: ${answer.reason}`;
  }

  #certifiedBy(primitive: Primitive): string | undefined {
    const [name, service] = primitive;
    const isOnService = name === 'service.start' || name === 'service.stop' || name === 'cgroup.write';
    return isOnService && this.certified.has(service) ? service : undefined;
  }
}
