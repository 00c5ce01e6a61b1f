// The policies of an agent: shipped ones, those of the swarm's bundle, configured ones, and live ones, which are added and removed at run
// time and kept over restarts. A later policy replaces an earlier one of the same name. A bundle is accepted in full or not at all.

import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Store } from '../../swarm/ports/store.ts';
import { messageOf } from '../../swarm/words.ts';
import { checkTools } from '../action/remedies.ts';
import { type Policy, policySchema } from '../detection/policy.ts';
import { checkNames } from '../detection/policy-check.ts';
import { PolicyDetector, PolicyError } from '../detection/policy-detector.ts';
import { testPolicy } from '../detection/policy-test.ts';
import { wordsOf } from '../issue-words.ts';
import type { Reporter } from '../reporter.ts';

const PREFIX = 'policy/';
const SWARM_KEY = 'swarm-policies';
export const MAX_RULES = 1_000;

/** A later one wins: the swarm’s replace shipped ones, and this machine’s own replace the swarm’s. */
export const ORIGINS = ['shipped', 'swarm', 'own', 'live'] as const;
export type Origin = (typeof ORIGINS)[number];

export interface KnownPolicy {
  policy: Policy;
  origin: Origin;
}

/** @throws PolicyError with a text for the user */
export function parsePolicy(input: unknown): Policy {
  const parsed = policySchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const named = z.object({ name: z.string() }).safeParse(input);
  throw new PolicyError(named.data?.name ?? 'without a name', wordsOf(parsed.error, input, policySchema));
}

/** @throws PolicyError with the place, and what was probably meant; also for a policy whose own tests fail. */
export function checkPolicy(policy: Policy): void {
  checkKept({ ...policy, enabled: true }); // else a mistake would appear only when it is enabled
}

/** For a policy that another version accepted: if it is disabled, its expression is not checked. @throws PolicyError */
function checkKept(policy: Policy): void {
  checkNames(policy);
  checkTools(policy);
  new PolicyDetector([policy]);
  const failing = testPolicy(policy).find(({ passed }) => !passed);
  if (failing !== undefined) throw new PolicyError(policy.name, `its own test "${failing.test}": ${failing.detail}`);
}

/** The agent that uses the policies. */
export interface PolicyOwner extends Pick<Reporter, 'noted'> {
  /** Uses all of these from now on. @throws PolicyError: then nothing has changed. */
  judge(policies: Policy[]): void;
}

export class PolicySet {
  readonly #store: Store;
  #base: readonly KnownPolicy[];
  readonly #owner: PolicyOwner;
  readonly #maxRules: number;
  #live = new Map<string, Policy>();
  /** The swarm’s policies, and their bundle. */
  #swarm: { bundle: string; policies: readonly Policy[] } = { bundle: '', policies: [] };

  /**
   * @param base shipped and configured ones
   * @throws PolicyError if there are too many
   */
  constructor(store: Store, base: readonly KnownPolicy[], owner: PolicyOwner, maxRules = MAX_RULES) {
    this.#store = store;
    this.#base = base;
    this.#owner = owner;
    this.#maxRules = maxRules;
    this.#checkCount(this.all().length);
  }

  /** @returns why some stored policies are no longer valid: they are skipped */
  async open(): Promise<string[]> {
    const wrong = await this.#recall();
    for (const [key, bytes] of await this.#store.range(PREFIX, { limit: MAX_RULES })) {
      try {
        const policy = parsePolicy(decodeCbor(bytes));
        checkKept(policy);
        this.#live.set(policy.name, policy);
      } catch (error) {
        wrong.push(`${key.slice(PREFIX.length)}: ${messageOf(error)}`);
      }
    }
    return wrong;
  }

  all(live: ReadonlyMap<string, Policy> = this.#live, swarm = this.#swarm.policies): KnownPolicy[] {
    const of = (policies: Iterable<Policy>, origin: Origin) => [...policies].map((policy) => ({ policy, origin }));
    const everything = [...this.#base, ...of(swarm, 'swarm'), ...of(live.values(), 'live')];
    const ordered = everything.sort((a, b) => ORIGINS.indexOf(a.origin) - ORIGINS.indexOf(b.origin));
    return [...new Map(ordered.map((one) => [one.policy.name, one])).values()];
  }

  /** Replaces the configured policies. @throws PolicyError: then nothing has changed */
  configure(base: readonly KnownPolicy[]): void {
    const before = this.#base;
    this.#base = base;
    try {
      const all = this.all();
      this.#checkCount(all.length);
      this.#owner.judge(all.map(({ policy }) => policy));
    } catch (error) {
      this.#base = before;
      throw error;
    }
  }

  /** The bundle of the swarm’s policies; empty if there is none. */
  get bundle(): string {
    return this.#swarm.bundle;
  }

  /** Names of the swarm’s policies. */
  get ofSwarm(): readonly string[] {
    return this.#swarm.policies.map(({ name }) => name);
  }

  /** Replaces the swarm’s policies by those of a bundle. @throws PolicyError: then nothing has changed */
  async follow(bundle: string, inputs: readonly unknown[]): Promise<void> {
    const policies = inputs.map(parsePolicy);
    for (const policy of policies) checkKept(policy);
    const all = this.all(this.#live, policies);
    this.#checkCount(all.length);
    this.#owner.judge(all.map(({ policy }) => policy));
    this.#swarm = { bundle, policies };
    await this.#store.write([{ kind: 'put', key: SWARM_KEY, value: encodeCbor([bundle, policies.map(plain)]) }]);
  }

  /** Restores the last valid bundle. @returns why a stored one is no longer valid */
  async #recall(): Promise<string[]> {
    const kept = decodeCbor((await this.#store.get(SWARM_KEY)) ?? encodeCbor(null));
    if (kept === null) return [];
    try {
      const [bundle, inputs] = z.tuple([z.string(), z.array(z.unknown())]).parse(kept);
      const policies = inputs.map(parsePolicy);
      for (const policy of policies) checkKept(policy);
      this.#swarm = { bundle, policies };
      return [];
    } catch (error) {
      return [`swarm policies: ${messageOf(error)}`];
    }
  }

  /** Adds or replaces live policies, all or none. @throws PolicyError */
  async apply(inputs: readonly unknown[]): Promise<Policy[]> {
    const given = inputs.map(parsePolicy);
    for (const policy of given) checkPolicy(policy);
    const live = new Map([...this.#live, ...given.map((policy) => [policy.name, policy] as const)]);
    await this.#change(live);
    await this.#store.write(
      given.map((policy) => ({ kind: 'put', key: `${PREFIX}${policy.name}`, value: encodeCbor(plain(policy)) })),
    );
    await this.#owner.noted(`policies applied: ${given.map(({ name }) => name).join(', ')}`);
    return given;
  }

  /** False if there is no live policy of that name. */
  async remove(name: string): Promise<boolean> {
    if (!this.#live.has(name)) return false;
    await this.#change(new Map([...this.#live].filter(([other]) => other !== name)));
    await this.#store.write([{ kind: 'delete', key: `${PREFIX}${name}` }]);
    await this.#owner.noted(`policy removed: ${name}`);
    return true;
  }

  #checkCount(count: number): void {
    if (count > this.#maxRules)
      throw new PolicyError('limit', `${count} policies, but policy_engine.max_rules is ${this.#maxRules}`);
  }

  async #change(live: Map<string, Policy>): Promise<void> {
    const all = this.all(live);
    this.#checkCount(all.length);
    this.#owner.judge(all.map(({ policy }) => policy));
    this.#live = live;
  }
}

/** Without undefined values, which CBOR does not store. */
function plain(policy: Policy): unknown {
  return z.json().parse(JSON.parse(JSON.stringify(policy)));
}
