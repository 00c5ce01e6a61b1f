// The release of KALOS that the swarm has decided on, on this machine: fetched from a member that has it when it is this machine's turn,
// checked, started in this agent's place, watched while it is new, and what is seen of it said. Whoever pushed it has signed it.

import { type HowTried, wantsReport } from '../../consensus/decisions/rollout.ts';
import type { Outcome } from '../../consensus/decisions/state.ts';
import type { Upgrade } from '../../consensus/decisions/upgrades.ts';
import { decodeCbor, encodeCbor, toHex } from '../../swarm/dissemination/cbor.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { messageOf } from '../../swarm/words.ts';
import type { Decisions } from '../decisions/decisions.ts';
import type { Members } from '../decisions/members.ts';
import type { Incident } from '../detection/incident.ts';
import { PeriodicTask } from '../periodic-task.ts';
import type { Ports } from '../ports/ports.ts';
import { Pushes } from './pushes.ts';

const LOOK_EVERY_MS = 1_000;
const DECIDE_WITHIN_MS = 5_000;
const PART_BYTES = 49_152;
const PART_WITHIN_MS = 10_000;
const MAX_ASKED = 8;
/** What could not be fetched, or not be said, is tried again. */
const AGAIN_MS = 5_000;
const TRIES = 6;
/** For a release that is good elsewhere already. */
const SOAK_MS = 15_000;
const MAX_REASON = 200;

export interface SwarmUpgradesEvents {
  ask(peer: PeerId, body: Uint8Array, withinMs: number): Promise<Uint8Array>;
  coordinator(): PeerId | undefined;
  incidents(): readonly Incident[];
  isReady(): boolean;
  noted(text: string): Promise<unknown>;
  /** This agent ends, and restarts; its services go on. */
  restart(): void;
  log(level: 'info' | 'warn', text: string): void;
}

export class SwarmUpgrades {
  readonly #ports: Ports;
  readonly #decisions: Decisions;
  readonly #members: Members;
  readonly #events: SwarmUpgradesEvents;
  #startedMs = 0;
  /** Incidents that there were already when it started. */
  #before: ReadonlySet<string> = new Set();
  #notBeforeMs = 0;
  /** What could not be taken, how often it was tried, and why not. */
  #untaken: { digest: string; tries: number; reason: string } | undefined;
  readonly #task: PeriodicTask;
  readonly #pushes: Pushes<Upgrade, unknown>;

  constructor(ports: Ports, swarmId: string, decisions: Decisions, members: Members, events: SwarmUpgradesEvents) {
    this.#ports = ports;
    this.#decisions = decisions;
    this.#members = members;
    this.#events = events;
    this.#pushes = new Pushes({ ports, swarmId, rollout: () => decisions.state.upgrades, members });
    this.#task = new PeriodicTask({
      clock: ports.clock,
      everyMs: LOOK_EVERY_MS,
      run: () => this.#turn(),
      failed: (why) => {
        this.#notBeforeMs = ports.clock.monotonicMs() + AGAIN_MS;
        events.log('warn', `the swarm’s release: ${why}`);
      },
    });
  }

  start(): void {
    this.#startedMs = this.#ports.clock.monotonicMs();
    this.#before = new Set(this.#events.incidents().map(({ id }) => id));
    this.#task.start();
  }

  stop(): void {
    this.#task.stop();
  }

  async #turn(): Promise<void> {
    if (this.#ports.clock.monotonicMs() < this.#notBeforeMs) return;
    await this.#pushes.look();
    const { releases, crypto } = this.#ports;
    const { upgrades } = this.#decisions.state;
    const wanted = upgrades.wantedBy(crypto.self);
    if (!this.#pushes.isCurrent) return;
    const digest = wanted?.digest ?? '';
    const { failed } = releases;
    if (failed !== undefined && failed.digest !== digest) await releases.forgive();
    if (this.#untaken !== undefined && this.#untaken.digest !== digest) this.#untaken = undefined;
    if (releases.isOnTrial && this.#events.coordinator() !== undefined) await releases.beat();
    if (!releases.takes) return this.#tell('it takes no releases of the swarm (upgrades = false)', true);
    if (digest === releases.running) return this.#watch(digest);
    if (failed !== undefined && failed.digest === digest) return this.#tell(failed.reason);
    if (this.#untaken !== undefined && this.#untaken.tries >= TRIES) return this.#tell(this.#untaken.reason);
    return this.#take(wanted);
  }

  async #take(wanted: Upgrade | undefined): Promise<void> {
    const { releases } = this.#ports;
    const digest = wanted?.digest ?? '';
    if (wanted !== undefined) {
      const refused = this.#pushes.refusal(wanted);
      if (refused !== undefined) return this.#tell(refused);
      try {
        if (!(await releases.has(digest))) await this.#fetch(wanted);
      } catch (error) {
        const { tries = 0 } = this.#untaken ?? {};
        this.#untaken = { digest, tries: tries + 1, reason: messageOf(error) };
        throw error;
      }
    }
    if (this.#task.isStopped) return;
    const what = wanted === undefined ? 'the package of this machine' : `release ${wanted.version} (${digest.slice(0, 8)})`;
    this.#events.log('info', `restarting as ${what}`);
    await this.#events.noted(`restarts as ${what}`);
    await releases.choose(digest);
    this.stop();
    this.#events.restart();
  }

  // Archives

  /** From who had its turn before, or pushed it, or anybody. @throws Error where nobody has it, or it is another */
  async #fetch({ by, version, digest, bytes }: Upgrade): Promise<void> {
    const { crypto, releases } = this.#ports;
    const { candidate } = this.#decisions.state.upgrades.state;
    const { canary = [], before = [] } = candidate ?? {};
    const alive = this.#members.alive().filter((peer) => peer !== crypto.self);
    const isThere = (peer: PeerId): boolean => alive.includes(peer);
    const first = [...before, ...canary]
      .filter(isThere)
      .reverse()
      .slice(0, MAX_ASKED / 2);
    const asked = [...new Set([...first, ...[by].filter(isThere), ...alive])].slice(0, MAX_ASKED);
    for (const peer of asked) {
      const archive = await this.#fetchFrom(peer, digest, bytes).catch(() => undefined);
      if (archive === undefined || toHex(crypto.hash(archive)) !== digest) continue;
      const its = await releases.keep(digest, archive);
      if (its !== version) throw new Error(`that is KALOS ${its}, not ${version}`);
      this.#events.log('info', `release ${version} is here, from ${this.#members.nameOf(peer)}`);
      return;
    }
    throw new Error(`nobody that was asked has release ${version} (${digest.slice(0, 8)})`);
  }

  async #fetchFrom(peer: PeerId, digest: string, bytes: number): Promise<Uint8Array | undefined> {
    const archive = new Uint8Array(bytes);
    for (let at = 0; at < bytes; ) {
      const part = decodeCbor(await this.#events.ask(peer, encodeCbor([digest, at]), PART_WITHIN_MS));
      if (!(part instanceof Uint8Array) || part.length === 0 || part.length > bytes - at || this.#task.isStopped)
        return undefined;
      archive.set(part, at);
      at += part.length;
    }
    return archive;
  }

  /** What another member asks for. @throws Error where it makes no sense */
  async answer(body: Uint8Array): Promise<Uint8Array> {
    const asked = decodeCbor(body);
    const [digest, from] = Array.isArray(asked) ? asked : [];
    if (typeof digest !== 'string' || !Number.isSafeInteger(from)) throw new Error('malformed question');
    return encodeCbor((await this.#ports.releases.read(digest, from, PART_BYTES)) ?? null);
  }

  /** Has a release tried on some members, then taken by all that take any. @throws Error where it is no release */
  async push(archive: Uint8Array, { canary, soakMs }: HowTried): Promise<Outcome> {
    const { crypto, releases } = this.#ports;
    const digest = toHex(crypto.hash(archive));
    const version = await releases.keep(digest, archive);
    await this.#pushes.look();
    const release = { version, digest, bytes: archive.length, pushedMs: this.#pushes.nowMs() };
    const signature = this.#pushes.sign({ by: crypto.self, ...release });
    return this.#decisions.decide({ kind: 'upgrade', ...release, signature, canary, soakMs }, DECIDE_WITHIN_MS);
  }

  // What is seen of it

  async #watch(digest: string): Promise<void> {
    if (digest === '') return;
    const { clock, releases } = this.#ports;
    const { candidate } = this.#decisions.state.upgrades.state;
    const soakMs = candidate?.digest === digest ? candidate.soakMs : SOAK_MS;
    const isOver = clock.monotonicMs() - this.#startedMs >= soakMs;
    const wrong = this.#wrong(isOver);
    if (isOver && wrong === undefined && releases.isOnTrial) await releases.confirm();
    if (wrong !== undefined || isOver) await this.#tell(wrong);
  }

  #wrong(isOver: boolean): string | undefined {
    const opened = this.#events.incidents().filter((one) => !this.#before.has(one.id));
    const failed = opened.find(({ steps, state }) => state === 'escalated' || steps.some(({ stage }) => stage === 'undo'));
    if (failed !== undefined) return `what it did about ${failed.target} did not help (kalos explain ${failed.id})`;
    return isOver && !this.#events.isReady() ? 'this machine is not ready since' : undefined;
  }

  /** Once, what is known. @param wrong undefined: it does well @param isNoHarm where it is no canary, nothing is lost with it */
  async #tell(wrong: string | undefined, isNoHarm = false): Promise<void> {
    const { candidate } = this.#decisions.state.upgrades.state;
    const { self } = this.#ports.crypto;
    if (candidate === null) return;
    const ok = wrong === undefined || (isNoHarm && candidate.phase !== 'canary');
    if (!wantsReport(candidate, self, ok)) return;
    const reason = wrong?.slice(0, MAX_REASON) ?? '';
    if (!ok) this.#events.log('warn', `release ${candidate.version} is not for this machine: ${reason}`);
    const wish = { kind: 'upgrade-report', upgrade: candidate.id, ok, reason } as const;
    const outcome = await this.#decisions.decide(wish, DECIDE_WITHIN_MS);
    if (outcome.ok) await this.#decisions.reads.caughtUp(outcome.index, DECIDE_WITHIN_MS);
  }
}
