// This agent's part in the check of audits: it sends the head of its log to its witnesses each minute, and checks the heads that others
// send. A proof that a member's log was changed is sent to all members.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Timer } from '../../swarm/ports/clock.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import { AuditWitness, cosignBytes, encodeShown, type Shown, shownOf } from '../audit/witness.ts';
import type { Ports } from '../ports/ports.ts';

const SHOW_EVERY_MS = 60_000;
const FIRST_SHOW_MS = 10_000;
const REQUEST_MS = 3_000;

const answerSchema = z.union([
  z.tuple([z.literal('signed'), z.custom<Uint8Array>((value) => value instanceof Uint8Array)]),
  z.tuple([z.literal('since'), z.number().int().nonnegative()]),
  z.tuple([z.enum(['conflict', 'refused'])]),
]);

export interface AuditWatchEvents {
  witnesses(): readonly PeerId[];
  alive(): readonly PeerId[];
  request(to: PeerId, body: Uint8Array, withinMs: number): Promise<Uint8Array>;
  nameOf(peer: PeerId): string;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export class AuditWatch {
  readonly #ports: Ports;
  readonly #audit: AuditLog;
  readonly #events: AuditWatchEvents;
  readonly #witness: AuditWitness;
  /** What each witness has signed for this agent's log. */
  readonly #signed = new Map<PeerId, { size: number; signature: Uint8Array }>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(ports: Ports, audit: AuditLog, events: AuditWatchEvents) {
    this.#ports = ports;
    this.#audit = audit;
    this.#events = events;
    this.#witness = new AuditWitness(ports.store, ports.crypto);
  }

  async open(): Promise<void> {
    await this.#witness.open();
    this.#timer = this.#ports.clock.after(FIRST_SHOW_MS, () => void this.#show());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Up to which size each witness has signed this log, and the members whose logs were changed. */
  get standing(): { signed: { witness: PeerId; size: number }[]; conflicts: ReturnType<AuditWitness['conflicts']> } {
    return {
      signed: [...this.#signed].map(([witness, { size }]) => ({ witness, size })),
      conflicts: this.#witness.conflicts(),
    };
  }

  async #show(): Promise<void> {
    try {
      await Promise.all(this.#events.witnesses().map((peer) => this.#showTo(peer, this.#signed.get(peer)?.size ?? 0)));
    } catch (error) {
      this.#events.failed(error);
    }
    if (!this.#stopped) this.#timer = this.#ports.clock.after(SHOW_EVERY_MS, () => void this.#show());
  }

  async #shown(since: number): Promise<Shown | undefined> {
    const { head } = this.#audit;
    if (head === undefined) return undefined;
    if (since === 0) return { oldSize: 0, oldRoot: new Uint8Array(), head, path: [] };
    const proof = await this.#audit.proveConsistency(since);
    return proof && shownOf(proof);
  }

  async #showTo(peer: PeerId, since: number, again = true): Promise<void> {
    const shown = (await this.#shown(since)) ?? (await this.#shown(0));
    if (shown === undefined || this.#stopped) return;
    const body = encodeCbor(['show', encodeShown(shown)]);
    const answer = await this.#events.request(peer, body, REQUEST_MS).then(decodeCbor, () => undefined);
    const parsed = answerSchema.safeParse(answer);
    if (!parsed.success) return;
    const [kind, what] = parsed.data;
    if (kind === 'since' && again) return this.#showTo(peer, what, false);
    if (kind === 'signed' && this.#ports.crypto.verify(peer, cosignBytes(shown.head), what))
      this.#signed.set(peer, { size: shown.head.size, signature: what });
  }

  /** @throws Error if the request is malformed */
  async answer(from: PeerId, body: Uint8Array): Promise<Uint8Array> {
    const decoded = decodeCbor(body);
    const [what, argument] = Array.isArray(decoded) ? decoded : [];
    if (what === 'conflict') {
      const of = await this.#witness.take(argument);
      if (of !== undefined) this.#report(of, this.#events.nameOf(from));
      return encodeCbor(['signed', new Uint8Array()]);
    }
    if (what !== 'show' || !(argument instanceof Uint8Array)) throw new Error('malformed request');
    const known = this.#witness.conflicts().some(({ peer }) => peer === from);
    const judged = await this.#witness.judge(from, argument);
    if (judged.kind === 'conflict' && !known) {
      this.#report(from, 'this agent');
      for (const peer of this.#events.alive())
        if (peer !== from && peer !== this.#ports.crypto.self)
          this.#events.request(peer, encodeCbor(['conflict', judged.conflict]), REQUEST_MS).catch(() => undefined);
    }
    if (judged.kind === 'signed') return encodeCbor(['signed', judged.signature]);
    return encodeCbor(judged.kind === 'since' ? ['since', judged.size] : [judged.kind]);
  }

  #report(peer: PeerId, by: string): void {
    const why = this.#witness.conflicts().find((one) => one.peer === peer)?.why;
    const name = this.#events.nameOf(peer);
    this.#events.log('warn', `the audit of ${name} was tampered with: ${why}; found by ${by}; see: kalos audit conflicts`);
  }
}
