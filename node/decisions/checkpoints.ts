// The state of the decisions, as far as it is known here: by this agent's own log, or by the last checkpoint that a majority of the committee
// attested, which is kept over a restart. As a voter this agent attests the state of its log.
import { Attestations, type CertifiedCheckpoint, certifiedFrom } from '../../consensus/decisions/checkpoint.ts';
import { DecisionState } from '../../consensus/decisions/state.ts';
import { decodeCbor, encodeCbor, equalBytes } from '../../swarm/dissemination/cbor.ts';
import type { Timer } from '../../swarm/ports/clock.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Ports } from '../ports/ports.ts';
import type { Committee } from './committee.ts';
import type { DecisionLog } from './own-log.ts';

const STATE_KEY = 'decisions/state';
const ATTEST_SOON_MS = 50;
/** Attestations that were lost are sent again. */
const ATTEST_AGAIN_MS = 5_000;

export interface CheckpointEvents {
  send(to: PeerId, bytes: Uint8Array): void;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export class Checkpoints {
  readonly #ports: Ports;
  readonly #committee: Committee;
  readonly #events: CheckpointEvents;
  readonly #attestations: Attestations;
  /** The state that others attested, or the one from before a restart. */
  readonly followed = new DecisionState();
  #trusted: CertifiedCheckpoint | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(ports: Ports, swarmId: string, committee: Committee, events: CheckpointEvents) {
    this.#ports = ports;
    this.#committee = committee;
    this.#events = events;
    this.#attestations = new Attestations(ports.crypto, swarmId);
  }

  async open(): Promise<void> {
    const kept = decodeCbor((await this.#ports.store.get(STATE_KEY)) ?? encodeCbor(null));
    const [checkpoint, state] = Array.isArray(kept) ? kept : [];
    const certified = certifiedFrom(checkpoint);
    if (certified !== undefined && state instanceof Uint8Array) {
      this.followed.restore(state);
      this.#trusted = certified;
    }
    this.#attestIn(ATTEST_AGAIN_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** The newest state that is known here; the returned object changes with time. */
  get state(): DecisionState {
    const own = this.#committee.log.current?.machine;
    return own !== undefined && own.index >= this.followed.index ? own : this.followed;
  }

  /** The checkpoint of `followed`. */
  get trusted(): CertifiedCheckpoint | undefined {
    return this.#trusted;
  }

  /** The newest checkpoint, with its attestations. */
  get newest(): CertifiedCheckpoint | undefined {
    const [own, followed] = [this.#attestations.newest, this.#trusted];
    return (own?.index ?? 0) >= (followed?.index ?? 0) ? own : followed;
  }

  /** For a follower: the decisions since an index, or the whole state; with the checkpoint. */
  since(index: number): Uint8Array {
    const { newest, state } = this;
    if (newest === undefined || newest.index !== state.index || newest.index <= index) return encodeCbor(null);
    const since = index === 0 ? undefined : state.since(index);
    const news = since?.map(({ index: at, term, decision }) => [at, term, decision]);
    return encodeCbor([newest, news ?? null, news === undefined ? state.encode() : null]);
  }

  /** A decision was applied, or the voters changed. */
  applied(): void {
    this.#attestIn(ATTEST_SOON_MS);
  }

  #attestIn(afterMs: number): void {
    this.#timer?.cancel();
    if (!this.#stopped) this.#timer = this.#ports.clock.after(afterMs, () => this.#attest());
  }

  #attest(): void {
    const { crypto } = this.#ports;
    const log = this.#committee.log.current;
    const peers = this.#committee.seats.voters();
    const newest = this.#attestations.newest;
    if (log !== undefined && log.machine.index > 0 && peers?.includes(crypto.self)) {
      const voters = [...peers].sort();
      const isSaid = newest?.index === log.machine.index && newest.voters.join() === voters.join();
      if (!isSaid || newest.signatures.length < voters.length) {
        const digest = crypto.hash(log.machine.encode());
        const said = this.#attestations.attest({ index: log.machine.index, digest, voters });
        for (const peer of voters) if (peer !== crypto.self) this.#events.send(peer, said);
        this.#keepOwn(log);
      }
    }
    this.#attestIn(ATTEST_AGAIN_MS);
  }

  /** An attestation of another voter. */
  receive(from: PeerId, bytes: Uint8Array): void {
    const before = this.#attestations.newest;
    this.#attestations.receive(from, bytes);
    const log = this.#committee.log.current;
    if (this.#attestations.newest !== before && log !== undefined) this.#keepOwn(log);
  }

  /** Saves the state of this agent's log for the next start. */
  #keepOwn(log: DecisionLog): void {
    const { newest } = this.#attestations;
    if (newest === undefined || newest.index <= (this.#trusted?.index ?? 0) || newest.index !== log.machine.index) return;
    const state = log.machine.encode();
    if (!equalBytes(this.#ports.crypto.hash(state), newest.digest)) {
      this.#events.log('warn', `this agent’s state at decision ${newest.index} differs from the committee’s`);
      return;
    }
    this.adopt(newest, state);
  }

  /** @param state the state of the checkpoint, verified */
  adopt(checkpoint: CertifiedCheckpoint, state: Uint8Array): void {
    this.followed.restore(state);
    this.#trusted = checkpoint;
    if (this.#stopped) return;
    const value = encodeCbor([checkpoint, state]);
    this.#ports.store.write([{ kind: 'put', key: STATE_KEY, value }]).catch((error: unknown) => this.#events.failed(error));
  }
}
