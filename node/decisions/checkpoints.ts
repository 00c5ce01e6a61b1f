// What was decided, as far as it is known here: by this agent's own log, or as a majority of the committee attested it last, which is kept
// over a restart. As one of the committee this agent attests what its log holds.
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
/** What was lost is said again. */
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
  /** What others attested, or what was so when this agent last ran. */
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

  /** What is known here; what it returns changes with time. */
  get state(): DecisionState {
    const own = this.#committee.log.current?.machine;
    return own !== undefined && own.index >= this.followed.index ? own : this.followed;
  }

  /** By which `followed` is known. */
  get trusted(): CertifiedCheckpoint | undefined {
    return this.#trusted;
  }

  /** What a majority of the committee attests, for whoever wants to check it. */
  get newest(): CertifiedCheckpoint | undefined {
    const [own, followed] = [this.#attestations.newest, this.#trusted];
    return (own?.index ?? 0) >= (followed?.index ?? 0) ? own : followed;
  }

  /** For a follower: what was decided since, or all that holds; and who attests it. */
  since(index: number): Uint8Array {
    const { newest, state } = this;
    if (newest === undefined || newest.index !== state.index || newest.index <= index) return encodeCbor(null);
    const since = index === 0 ? undefined : state.since(index);
    const news = since?.map(({ index: at, term, decision }) => [at, term, decision]);
    return encodeCbor([newest, news ?? null, news === undefined ? state.encode() : null]);
  }

  /** Something was applied, or who votes has changed. */
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

  /** Another of the committee attests something. */
  receive(from: PeerId, bytes: Uint8Array): void {
    const before = this.#attestations.newest;
    this.#attestations.receive(from, bytes);
    const log = this.#committee.log.current;
    if (this.#attestations.newest !== before && log !== undefined) this.#keepOwn(log);
  }

  /** So that it is known at once after a restart. */
  #keepOwn(log: DecisionLog): void {
    const { newest } = this.#attestations;
    if (newest === undefined || newest.index <= (this.#trusted?.index ?? 0) || newest.index !== log.machine.index) return;
    const state = log.machine.encode();
    if (!equalBytes(this.#ports.crypto.hash(state), newest.digest)) {
      this.#events.log('warn', `what this agent holds of decision ${newest.index} is not what a majority of the committee holds`);
      return;
    }
    this.adopt(newest, state);
  }

  /** @param state what the checkpoint is of, checked */
  adopt(checkpoint: CertifiedCheckpoint, state: Uint8Array): void {
    this.followed.restore(state);
    this.#trusted = checkpoint;
    if (this.#stopped) return;
    const value = encodeCbor([checkpoint, state]);
    this.#ports.store.write([{ kind: 'put', key: STATE_KEY, value }]).catch((error: unknown) => this.#events.failed(error));
  }
}
