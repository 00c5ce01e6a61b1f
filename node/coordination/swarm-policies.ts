// The policy bundle of the swarm on this machine: accepted when it is this machine's wave, watched while it is new, and reported on. The
// member that pushed it has signed it. Policies that this machine declares itself have precedence.

import type { Bundle, BundlesHow } from '../../consensus/decisions/bundles.ts';
import type { Wish } from '../../consensus/decisions/decision.ts';
import { type HowTried, wantsReport } from '../../consensus/decisions/rollout.ts';
import type { Outcome } from '../../consensus/decisions/state.ts';
import { messageOf } from '../../swarm/words.ts';
import type { Decisions } from '../decisions/decisions.ts';
import type { Members } from '../decisions/members.ts';
import type { Incident } from '../detection/incident.ts';
import { PeriodicTask } from '../periodic-task.ts';
import type { Ports } from '../ports/ports.ts';
import { Pushes } from './pushes.ts';

const LOOK_EVERY_MS = 500;
const DECIDE_WITHIN_MS = 5_000;
const MAX_REASON = 200;

export interface SwarmPoliciesEvents {
  /** Applies these policies from now on. @throws if they are invalid */
  follow(bundle: string, policies: readonly unknown[]): Promise<void>;
  /** The active bundle here; empty if there is none. */
  bundle(): string;
  names(): readonly string[];
  incidents(): readonly Incident[];
  isReady(): boolean;
  noted(text: string): Promise<unknown>;
  log(level: 'info' | 'warn', text: string): void;
}

interface HowBundleTried extends HowTried {
  /** How many findings of its policies on a machine are accepted meanwhile. */
  findings: number;
}

/** The newest bundle, while it is new. */
interface Watch {
  bundle: string;
  sinceMs: number;
  /** Incidents from before: by id, for an earlier date need not mean that. */
  before: ReadonlySet<string>;
  wasReady: boolean;
  /** Why it was rejected. */
  refused: string | undefined;
}

export class SwarmPolicies {
  readonly #ports: Ports;
  readonly #decisions: Decisions;
  readonly #events: SwarmPoliciesEvents;
  #watch: Watch | undefined;
  readonly #task: PeriodicTask;
  readonly #pushes: Pushes<Bundle, BundlesHow>;

  constructor(ports: Ports, swarmId: string, decisions: Decisions, members: Members, events: SwarmPoliciesEvents) {
    this.#ports = ports;
    this.#decisions = decisions;
    this.#events = events;
    this.#pushes = new Pushes({ ports, swarmId, rollout: () => decisions.state.bundles, members });
    this.#task = new PeriodicTask({
      clock: ports.clock,
      everyMs: LOOK_EVERY_MS,
      run: () => this.#turn(),
      failed: (why) => events.log('warn', `swarm policies: ${why}`),
    });
  }

  start(): void {
    this.#task.start();
  }

  stop(): void {
    this.#task.stop();
  }

  async #turn(): Promise<void> {
    await this.#pushes.look();
    const { bundles } = this.#decisions.state;
    const wanted = bundles.wantedBy(this.#ports.crypto.self);
    if (!this.#pushes.isCurrent) return;
    const id = wanted?.id ?? '';
    if (id !== this.#events.bundle() && this.#watch?.bundle !== id) return this.#take(wanted);
    if (id !== '' && bundles.state.candidate?.id === id) await this.#report();
  }

  async #take(wanted: Bundle | undefined): Promise<void> {
    const { clock } = this.#ports;
    const bundle = wanted?.id ?? '';
    const watch = { bundle, sinceMs: clock.monotonicMs(), before: this.#known(), wasReady: this.#events.isReady() };
    let refused = wanted === undefined ? undefined : this.#pushes.refusal(wanted);
    if (refused === undefined) {
      try {
        await this.#events.follow(bundle, wanted === undefined ? [] : (JSON.parse(wanted.policies) as unknown[]));
      } catch (error) {
        refused = messageOf(error);
      }
    }
    this.#watch = { ...watch, refused };
    const what = wanted === undefined ? 'no policy bundle' : `policies of bundle ${bundle.slice(0, 8)}`;
    const rejected = wanted === undefined ? 'the withdrawn policies cannot be removed' : `${what} are rejected`;
    const text = refused === undefined ? `${what}${names(this.#events.names())} active` : `${rejected}: ${refused}`;
    this.#events.log(refused === undefined ? 'info' : 'warn', text);
    await this.#events.noted(text);
  }

  /** Pushes a bundle: first to canaries, then to all. @param policies checked by the caller */
  async push(policies: readonly unknown[], { canary, soakMs, findings }: HowBundleTried): Promise<Outcome> {
    await this.#pushes.look();
    const bundle = { policies: JSON.stringify(policies), pushedMs: this.#pushes.nowMs() };
    const signature = this.#pushes.sign({ by: this.#ports.crypto.self, ...bundle });
    return this.#decisions.decide({ kind: 'bundle', ...bundle, signature, canary, soakMs, findings }, DECIDE_WITHIN_MS);
  }

  // Reports

  /** Reports the result, once. */
  async #report(): Promise<void> {
    const { candidate } = this.#decisions.state.bundles.state;
    const { self } = this.#ports.crypto;
    if (candidate === null) return;
    this.#watch ??= this.#watchAgain(candidate.id);
    const wrong = this.#wrong(this.#watch, candidate.findings);
    const isOver = this.#ports.clock.monotonicMs() - this.#watch.sinceMs >= candidate.soakMs;
    const isDue = (wrong !== undefined || isOver) && wantsReport(candidate, self, wrong === undefined);
    if (!isDue) return;
    const reason = wrong?.slice(0, MAX_REASON) ?? '';
    if (wrong !== undefined) this.#events.log('warn', `bundle ${candidate.id.slice(0, 8)} fails here: ${reason}`);
    const wish: Wish = { kind: 'bundle-report', bundle: candidate.id, ok: wrong === undefined, reason };
    const outcome = await this.#decisions.decide(wish, DECIDE_WITHIN_MS);
    if (outcome.ok) await this.#decisions.reads.caughtUp(outcome.index, DECIDE_WITHIN_MS);
  }

  /** After a restart meanwhile: watched from the beginning. */
  #watchAgain(bundle: string): Watch {
    const { clock } = this.#ports;
    return { bundle, sinceMs: clock.monotonicMs(), before: this.#known(), wasReady: true, refused: undefined };
  }

  #known(): Set<string> {
    return new Set(this.#events.incidents().map(({ id }) => id));
  }

  #wrong({ before, wasReady, refused }: Watch, findings: number): string | undefined {
    if (refused !== undefined) return refused;
    const mine = new Set(this.#events.names());
    const opened = this.#events.incidents().filter((one) => !before.has(one.id) && mine.has(one.policy));
    const failed = opened.find(({ steps, state }) => state === 'escalated' || steps.some(({ stage }) => stage === 'undo'));
    if (failed !== undefined)
      return `the repair of ${failed.target} by ${failed.policy} did not help (kalos explain ${failed.id})`;
    const [first] = opened;
    if (first !== undefined && opened.length > findings)
      return `${first.policy} found "${first.summary}" on ${first.target}${opened.length > 1 ? `, and ${opened.length - 1} more` : ''}`;
    return wasReady && !this.#events.isReady() ? 'this machine is no longer ready' : undefined;
  }
}

function names(all: readonly string[]): string {
  return all.length === 0 ? ' is' : ` (${all.join(', ')}) are`;
}
