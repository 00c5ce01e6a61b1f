// The release of KALOS that the swarm has decided on, on this machine. When it is this machine's wave, the release is fetched from a member
// that has it, verified, started in this agent's place, watched while it is new, and reported on. The member that pushed it has signed it.

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
/** A failed fetch or report is tried again after this. */
const AGAIN_MS = 5_000;
const TRIES = 6;
/** For a release that is already good elsewhere. */
const SOAK_MS = 15_000;
const MAX_REASON = 200;

export interface SwarmUpgradesEvents {
  ask(peer: PeerId, body: Uint8Array, withinMs: number): Promise<Uint8Array>;
  coordinator(): PeerId | undefined;
  incidents(): readonly Incident[];
  isReady(): boolean;
  noted(text: string): Promise<unknown>;
  /** Restarts this agent; its services keep running. */
  restart(): void;
  log(level: 'info' | 'warn', text: string): void;
}

export class SwarmUpgrades {
  readonly #ports: Ports;
  readonly #decisions: Decisions;
  readonly #members: Members;
  readonly #events: SwarmUpgradesEvents;
  #startedMs = 0;
  /** Incidents from before its start. */
  #before: ReadonlySet<string> = new Set();
  #notBeforeMs = 0;
  /** A release that could not be fetched: how often it was tried, and why not. */
  #unfetched: { digest: string; tries: number; reason: string } | undefined;
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
        events.log('warn', `release roll-out: ${why}`);
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
    if (this.#unfetched !== undefined && this.#unfetched.digest !== digest) this.#unfetched = undefined;
    if (releases.isOnTrial && this.#events.coordinator() !== undefined) await releases.beat();
    if (!releases.takes) return this.#report('it accepts no swarm releases (upgrades = false)', true);
    if (digest === releases.running) return this.#watch(digest);
    if (failed !== undefined && failed.digest === digest) return this.#report(failed.reason);
    if (this.#unfetched !== undefined && this.#unfetched.tries >= TRIES) return this.#report(this.#unfetched.reason);
    return this.#take(wanted);
  }

  async #take(wanted: Upgrade | undefined): Promise<void> {
    const { releases } = this.#ports;
    const digest = wanted?.digest ?? '';
    if (wanted !== undefined) {
      const refused = this.#pushes.refusal(wanted);
      if (refused !== undefined) return this.#report(refused);
      try {
        if (!(await releases.has(digest))) await this.#fetch(wanted);
      } catch (error) {
        const { tries = 0 } = this.#unfetched ?? {};
        this.#unfetched = { digest, tries: tries + 1, reason: messageOf(error) };
        throw error;
      }
    }
    if (this.#task.isStopped) return;
    const what = wanted === undefined ? 'the installed package' : `release ${wanted.version} (${digest.slice(0, 8)})`;
    this.#events.log('info', `restarting as ${what}`);
    await this.#events.noted(`restarts as ${what}`);
    await releases.choose(digest);
    this.stop();
    this.#events.restart();
  }

  // Archives

  /** From a member of an earlier wave, the one that pushed it, or any other. @throws Error if none has it, or it is another version */
  async #fetch({ by, version, digest, bytes }: Upgrade): Promise<void> {
    const { crypto, releases } = this.#ports;
    const { candidate } = this.#decisions.state.upgrades.state;
    const { canary = [], before = [] } = candidate ?? {};
    const alive = this.#members.alive().filter((peer) => peer !== crypto.self);
    const isAlive = (peer: PeerId): boolean => alive.includes(peer);
    const first = [...before, ...canary]
      .filter(isAlive)
      .reverse()
      .slice(0, MAX_ASKED / 2);
    const asked = [...new Set([...first, ...[by].filter(isAlive), ...alive])].slice(0, MAX_ASKED);
    for (const peer of asked) {
      const archive = await this.#fetchFrom(peer, digest, bytes).catch(() => undefined);
      if (archive === undefined || toHex(crypto.hash(archive)) !== digest) continue;
      const its = await releases.keep(digest, archive);
      if (its !== version) throw new Error(`the archive is KALOS ${its}, not ${version}`);
      this.#events.log('info', `received release ${version} from ${this.#members.nameOf(peer)}`);
      return;
    }
    throw new Error(`no reachable member has release ${version} (${digest.slice(0, 8)})`);
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

  /** Answers another member with a part of an archive. @throws Error if the request is malformed */
  async answer(body: Uint8Array): Promise<Uint8Array> {
    const asked = decodeCbor(body);
    const [digest, from] = Array.isArray(asked) ? asked : [];
    if (typeof digest !== 'string' || !Number.isSafeInteger(from)) throw new Error('malformed request');
    return encodeCbor((await this.#ports.releases.read(digest, from, PART_BYTES)) ?? null);
  }

  /** Pushes a release: first to canaries, then to all that accept releases. @throws Error if it is not a release */
  async push(archive: Uint8Array, { canary, soakMs }: HowTried): Promise<Outcome> {
    const { crypto, releases } = this.#ports;
    const digest = toHex(crypto.hash(archive));
    const version = await releases.keep(digest, archive);
    await this.#pushes.look();
    const release = { version, digest, bytes: archive.length, pushedMs: this.#pushes.nowMs() };
    const signature = this.#pushes.sign({ by: crypto.self, ...release });
    return this.#decisions.decide({ kind: 'upgrade', ...release, signature, canary, soakMs }, DECIDE_WITHIN_MS);
  }

  // Reports

  async #watch(digest: string): Promise<void> {
    if (digest === '') return;
    const { clock, releases } = this.#ports;
    const { candidate } = this.#decisions.state.upgrades.state;
    const soakMs = candidate?.digest === digest ? candidate.soakMs : SOAK_MS;
    const isOver = clock.monotonicMs() - this.#startedMs >= soakMs;
    const wrong = this.#wrong(isOver);
    if (isOver && wrong === undefined && releases.isOnTrial) await releases.confirm();
    if (wrong !== undefined || isOver) await this.#report(wrong);
  }

  #wrong(isOver: boolean): string | undefined {
    const opened = this.#events.incidents().filter((one) => !this.#before.has(one.id));
    const failed = opened.find(({ steps, state }) => state === 'escalated' || steps.some(({ stage }) => stage === 'undo'));
    if (failed !== undefined) return `its repair of ${failed.target} did not help (kalos explain ${failed.id})`;
    return isOver && !this.#events.isReady() ? 'this machine is no longer ready' : undefined;
  }

  /** Reports the result, once. @param wrong undefined: it is healthy @param isNoHarm counts as a success, unless this is a canary */
  async #report(wrong: string | undefined, isNoHarm = false): Promise<void> {
    const { candidate } = this.#decisions.state.upgrades.state;
    const { self } = this.#ports.crypto;
    if (candidate === null) return;
    const ok = wrong === undefined || (isNoHarm && candidate.phase !== 'canary');
    if (!wantsReport(candidate, self, ok)) return;
    const reason = wrong?.slice(0, MAX_REASON) ?? '';
    if (!ok) this.#events.log('warn', `release ${candidate.version} is rejected here: ${reason}`);
    const wish = { kind: 'upgrade-report', upgrade: candidate.id, ok, reason } as const;
    const outcome = await this.#decisions.decide(wish, DECIDE_WITHIN_MS);
    if (outcome.ok) await this.#decisions.reads.caughtUp(outcome.index, DECIDE_WITHIN_MS);
  }
}
