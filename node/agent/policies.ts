// The policies that an agent judges by: shipped ones, those of its configuration, and live ones, which come and go while it
// runs and are kept over restarts. A later one with the name of an earlier one replaces it. A bundle is taken whole or not.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Store } from '../../swarm/ports/store.ts';
import { checkTools } from '../action/remedies.ts';
import { type Policy, policySchema } from '../detection/policy.ts';
import { checkNames } from '../detection/policy-check.ts';
import { PolicyError } from '../detection/policy-detector.ts';
import { testPolicy } from '../detection/policy-test.ts';

const PREFIX = 'policy/';
export const MAX_RULES = 1_000;

export type Origin = 'shipped' | 'own' | 'live';

export interface KnownPolicy {
  policy: Policy;
  origin: Origin;
}

/** @throws PolicyError, saying where and what was probably meant; a policy whose own tests do not hold is wrong too. */
export function checkPolicy(policy: Policy): void {
  checkNames(policy);
  checkTools(policy);
  const failing = testPolicy(policy).find(({ passed }) => !passed);
  if (failing !== undefined) throw new PolicyError(policy.name, `its own test "${failing.test}": ${failing.detail}`);
}

export class PolicySet {
  readonly #store: Store;
  readonly #base: readonly KnownPolicy[];
  readonly #maxRules: number;
  #live = new Map<string, Policy>();

  /** @param base shipped and configured ones. @throws PolicyError where they are too many. */
  constructor(store: Store, base: readonly KnownPolicy[], maxRules = MAX_RULES) {
    this.#store = store;
    this.#base = base;
    this.#maxRules = maxRules;
    this.#checkCount(this.all().length);
  }

  /** @returns what was kept but is not understood any more: it is left out. */
  async open(): Promise<string[]> {
    const wrong: string[] = [];
    for (const [key, bytes] of await this.#store.range(PREFIX, { limit: MAX_RULES })) {
      try {
        const policy = policySchema.parse(decodeCbor(bytes));
        checkPolicy(policy);
        this.#live.set(policy.name, policy);
      } catch (error) {
        wrong.push(`${key.slice(PREFIX.length)}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return wrong;
  }

  all(live: ReadonlyMap<string, Policy> = this.#live): KnownPolicy[] {
    const known = new Map(this.#base.map((one) => [one.policy.name, one]));
    for (const policy of live.values()) known.set(policy.name, { policy, origin: 'live' });
    return [...known.values()];
  }

  /**
   * Adds or replaces live ones.
   * @param take has the agent judge by all of them; where it throws, nothing was changed.
   * @throws PolicyError
   */
  async apply(inputs: readonly unknown[], take: (policies: Policy[]) => void): Promise<Policy[]> {
    const given = inputs.map((input) => policySchema.parse(input));
    for (const policy of given) checkPolicy(policy);
    const live = new Map([...this.#live, ...given.map((policy) => [policy.name, policy] as const)]);
    await this.#change(live, take);
    await this.#store.write(
      given.map((policy) => ({ kind: 'put', key: `${PREFIX}${policy.name}`, value: encodeCbor(plain(policy)) })),
    );
    return given;
  }

  /** False where there is no live one of that name. */
  async remove(name: string, take: (policies: Policy[]) => void): Promise<boolean> {
    if (!this.#live.has(name)) return false;
    await this.#change(new Map([...this.#live].filter(([other]) => other !== name)), take);
    await this.#store.write([{ kind: 'delete', key: `${PREFIX}${name}` }]);
    return true;
  }

  #checkCount(count: number): void {
    if (count > this.#maxRules)
      throw new PolicyError('one too many', `${count} in all, and policy_engine.max_rules is ${this.#maxRules}`);
  }

  async #change(live: Map<string, Policy>, take: (policies: Policy[]) => void): Promise<void> {
    const all = this.all(live);
    this.#checkCount(all.length);
    take(all.map(({ policy }) => policy));
    this.#live = live;
  }
}

/** Without what is undefined, which CBOR has no word for. */
function plain(policy: Policy): unknown {
  return z.json().parse(JSON.parse(JSON.stringify(policy)));
}
