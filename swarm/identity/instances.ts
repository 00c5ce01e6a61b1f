// Detects two agents with one key. Each run of an agent draws a number and shows it, signed, on every connection. If a key is shown with
// another number while the run before still answers, two agents have the key, as after a copy of a state directory: the second is refused,
// and both get the proof, a statement that their own key signed and they did not make.
import { z } from 'zod';
import { decodeCbor, encodeCbor, equalBytes, toHex } from '../dissemination/cbor.ts';
import type { Clock } from '../ports/clock.ts';
import { type Crypto, SIGNATURE_BYTES } from '../ports/crypto.ts';
import type { Random } from '../ports/random.ts';
import type { PeerId } from '../ports/transport.ts';

const DOMAIN = 'kalos/instance/1';
const INSTANCE_BYTES = 16;
export const MAX_PLACE = 80;
export const MAX_STATEMENT_BYTES = 512;
/** How long a conflict counts as present: a refused agent tries again every few seconds. */
const FOUND_FOR_MS = 30_000;
const MAX_KNOWN = 10_000;
const NONE = new Uint8Array();

const bytesSchema = z.instanceof(Uint8Array);
const instanceSchema = bytesSchema.refine(({ length }) => length === INSTANCE_BYTES);
const statementSchema = z.tuple([
  instanceSchema,
  z.string().max(MAX_PLACE),
  z.number().int().nonnegative(),
  /** The instance that it answers; empty if none. */
  bytesSchema.refine(({ length }) => length === 0 || length === INSTANCE_BYTES),
  bytesSchema.refine(({ length }) => length === SIGNATURE_BYTES),
]);

interface Statement {
  instance: Uint8Array;
  /** Where it runs, in words. */
  place: string;
  wallMs: number;
  answers: Uint8Array;
}

export interface InstancesConfig {
  swarmId: string;
  place: string;
}

export interface InstancesEvents {
  /** Asks over the existing connection; fails immediately if there is none. */
  ask(peer: PeerId, statement: Uint8Array): Promise<Uint8Array>;
  nameOf(peer: PeerId): string;
  log(level: 'warn', text: string): void;
}

export class Instances {
  readonly #ports: { crypto: Crypto; clock: Clock };
  readonly #config: InstancesConfig;
  readonly #events: InstancesEvents;
  readonly #own: Uint8Array;
  /** Another run of this agent. */
  #other: Uint8Array = NONE;
  /** By run, in hex: the wall clock of its newest statement that counted, and the most that it was ahead of this agent's time. */
  readonly #newest = new Map<string, { wallMs: number; aheadMs: number }>();
  /** The instances of the peers that are or were connected. */
  readonly #known = new Map<PeerId, Uint8Array>();
  readonly #found = new Map<PeerId, { text: string; atMs: number }>();

  constructor(ports: { crypto: Crypto; clock: Clock; random: Random }, config: InstancesConfig, events: InstancesEvents) {
    this.#ports = ports;
    this.#config = config;
    this.#events = events;
    this.#own = ports.random.bytes(INSTANCE_BYTES);
  }

  /** This run's statement; if another run is known, it answers that. */
  statement(answers: Uint8Array = this.#other): Uint8Array {
    const { crypto, clock } = this.#ports;
    const said = {
      instance: this.#own,
      place: this.#config.place.slice(0, MAX_PLACE),
      wallMs: Math.round(clock.wallMs()),
      answers,
    };
    return encodeCbor([said.instance, said.place, said.wallMs, answers, crypto.sign(this.#toSign(said))]);
  }

  #toSign({ instance, place, wallMs, answers }: Statement): Uint8Array {
    return encodeCbor([DOMAIN, this.#config.swarmId, instance, place, wallMs, answers]);
  }

  /** Undefined if malformed, or not signed by that peer. */
  #parse(by: PeerId, bytes: Uint8Array): Statement | undefined {
    const wire = bytes.length > MAX_STATEMENT_BYTES ? undefined : statementSchema.safeParse(decodeCbor(bytes)).data;
    if (wire === undefined) return undefined;
    const [instance, place, wallMs, answers, signature] = wire;
    const said = { instance, place, wallMs, answers };
    return this.#ports.crypto.verify(by, this.#toSign(said), signature) ? said : undefined;
  }

  /** Checks a member before it is admitted. @returns the proof that another run of it is connected already; undefined if there is none. */
  async judge(from: PeerId, shown: Uint8Array): Promise<Uint8Array | undefined> {
    const said = this.#parse(from, shown);
    if (said === undefined) return undefined;
    // Of a peer that has stayed connected since it was admitted, no instance is known yet.
    const known = this.#known.get(from) ?? NONE;
    if (!equalBytes(known, said.instance)) {
      const proof = await this.#events.ask(from, shown).catch(() => undefined);
      const other = proof && this.#parse(from, proof);
      if (other !== undefined && equalBytes(other.answers, said.instance) && !equalBytes(other.instance, said.instance)) {
        const name = this.#events.nameOf(from);
        this.#note(
          from,
          `two agents have the key of ${name}, on ${other.place} and on ${said.place}: the second is refused; stop one of them`,
        );
        return proof;
      }
    }
    if (this.#known.size < MAX_KNOWN) this.#known.set(from, said.instance);
    return undefined;
  }

  /**
   * Answers a member that shows a statement of another run of this agent, perhaps of an earlier one. A conflict is recorded only if that run
   * has answered an instance of this one. @throws Error if it is not such a statement
   */
  answer(body: Uint8Array): Uint8Array {
    const said = this.#parse(this.#ports.crypto.self, body);
    if (said === undefined || equalBytes(said.instance, this.#own)) throw new Error('not a statement of another run');
    if (equalBytes(said.answers, this.#own)) this.#noteOwn(said);
    return this.statement(said.instance);
  }

  /** This agent was refused: another run of it is connected, by this proof. */
  refused(proof: Uint8Array): void {
    const said = this.#parse(this.#ports.crypto.self, proof);
    if (said !== undefined && equalBytes(said.answers, this.#own) && !equalBytes(said.instance, this.#own)) this.#noteOwn(said);
  }

  #noteOwn({ place, instance, wallMs }: Statement): void {
    this.#other = instance;
    const key = toHex(instance);
    const aheadMs = wallMs - this.#ports.clock.monotonicMs();
    const known = this.#newest.get(key);
    // A statement that is shown again does not count, nor one that was requested in advance and kept until that run had ended.
    if (known !== undefined && (wallMs <= known.wallMs || aheadMs < known.aheadMs - FOUND_FOR_MS)) return;
    this.#newest.set(key, { wallMs, aheadMs: Math.max(aheadMs, known?.aheadMs ?? aheadMs) });
    const what = `two agents have this key: another one runs on ${place}, so neither of them acts`;
    this.#note(this.#ports.crypto.self, `${what}; stop one of them, and remove the state directory of the copy`);
  }

  #note(peer: PeerId, text: string): void {
    if (this.conflictOf(peer) !== text) this.#events.log('warn', text);
    this.#found.set(peer, { text, atMs: this.#ports.clock.monotonicMs() });
  }

  /** The conflict over a peer's key, or over this agent's own; undefined if there is none. */
  conflictOf(peer: PeerId): string | undefined {
    const found = this.#found.get(peer);
    return found !== undefined && this.#ports.clock.monotonicMs() - found.atMs < FOUND_FOR_MS ? found.text : undefined;
  }
}
