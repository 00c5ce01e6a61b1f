// Authorizations at the actuator, modelled: the twin of native/actuator/authorizations.cc. It judges by the same code as `kalos
// authorize-check`, and its record outlives agents and reboots.
import { judgeAuthorization } from '../../node/action/authorization.ts';
import { type Primitive, type Step, stepToWire } from '../../node/ports/actuator.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';

export class Authorizations {
  readonly #crypto: Crypto;
  #memory = new Uint8Array();
  /** Services that nothing is done to without leave: `certify service NAME` of the actuator's policy. */
  certified: ReadonlySet<string> = new Set();
  /** Leave that held, and that did not. */
  given = 0;
  readonly refused: string[] = [];
  /** The newest that was shown. */
  shown: Uint8Array | undefined;

  constructor(crypto: Crypto) {
    this.#crypto = crypto;
  }

  /** Why steps are not armed; what was used is remembered at once. */
  refusal(id: string, steps: readonly Step[], leave: Uint8Array | undefined, nowMs: number): string | undefined {
    if (leave === undefined) {
      const all = steps.flatMap((step) => [step.do, ...(step.undo === undefined ? [] : [step.undo])]);
      const name = all.map((primitive) => this.#certifiedBy(primitive)).find((one) => one !== undefined);
      return name && `it takes leave: certify service ${name}`;
    }
    this.shown = leave;
    const wire = decodeCbor(encodeCbor(steps.map(stepToWire)));
    const answer = judgeAuthorization(this.#crypto, { id, steps: wire, leave, memory: this.#memory, nowMs, pinned: false });
    if (answer.ok) {
      this.#memory = new Uint8Array(answer.memory);
      this.given++;
      return undefined;
    }
    this.refused.push(answer.reason);
    return `its leave does not hold: ${answer.reason}`;
  }

  #certifiedBy(primitive: Primitive): string | undefined {
    const [name, service] = primitive;
    const isOnService = name === 'service.start' || name === 'service.stop' || name === 'cgroup.write';
    return isOnService && this.certified.has(service) ? service : undefined;
  }
}
