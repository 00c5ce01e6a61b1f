// Members are witnesses of each other's audit: each keeps the newest head of another, and requires a proof that every later one
// extends it. An agent that cuts its log, rewrites it, or shows two logs has itself signed the proof of that.
import { z } from 'zod';
import { decodeCbor, encodeCbor, equalBytes } from '../../swarm/dissemination/cbor.ts';
import { type Crypto, HASH_BYTES } from '../../swarm/ports/crypto.ts';
import type { Store } from '../../swarm/ports/store.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { type ConsistencyProof, headBytes, headSchema, type SignedHead } from './audit-log.ts';
import { rootsFromConsistency } from './merkle.ts';

const HEAD_PREFIX = 'audit-head/';
const PROOF_PREFIX = 'audit-proof/';
const COSIGN_DOMAIN = 'kalos/audit-cosign/1';
const MAX_PEERS = 10_000;
const MAX_PATH = 64;

const bytes = (length: number) => z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === length);
const shownSchema = z.strictObject({
  oldSize: z.number().int().nonnegative(),
  oldRoot: z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= HASH_BYTES),
  head: headSchema,
  path: z.array(bytes(HASH_BYTES)).max(MAX_PATH),
});
export type Shown = z.infer<typeof shownSchema>;

/** Two heads signed by one agent, of which the later does not extend the earlier; shown by the heads alone, or with a proof. */
const conflictSchema = z.strictObject({
  earlier: headSchema,
  later: headSchema,
  /** That the later log differs at the size of the earlier: its own root of that size, and the consistency proof from there. */
  instead: z.strictObject({ oldRoot: bytes(HASH_BYTES), path: z.array(bytes(HASH_BYTES)).max(MAX_PATH) }).nullable(),
});
export type AuditConflict = z.infer<typeof conflictSchema>;

export const encodeShown = (shown: Shown): Uint8Array => encodeCbor(shown);
export const shownOf = ({ oldSize, oldRoot, head, path }: ConsistencyProof): Shown => ({ oldSize, oldRoot, head, path });

const isSigned = (crypto: Pick<Crypto, 'verify'>, head: SignedHead): boolean =>
  crypto.verify(head.signer, headBytes(head), head.signature);

/** Why two signed heads cannot be of one log; undefined if they can, or if this does not prove it. */
export function conflictOf(
  crypto: Pick<Crypto, 'hash' | 'verify'>,
  { earlier, later, instead }: AuditConflict,
): string | undefined {
  if (earlier.signer !== later.signer || !isSigned(crypto, earlier) || !isSigned(crypto, later)) return undefined;
  if (earlier.size === later.size) return equalBytes(earlier.root, later.root) ? undefined : 'two logs of one size';
  if (later.size < earlier.size) return later.atMs > earlier.atMs ? 'the log was cut back' : undefined;
  if (instead === null || equalBytes(instead.oldRoot, earlier.root)) return undefined;
  const roots = rootsFromConsistency(earlier.size, later.size, instead.oldRoot, instead.path, crypto.hash);
  const fits = roots !== undefined && equalBytes(roots.old, instead.oldRoot) && equalBytes(roots.new, later.root);
  return fits ? 'the log was rewritten' : undefined;
}

export type Witnessed =
  /** The witness has verified the log up to this head, and signs that. */
  | { kind: 'signed'; signature: Uint8Array }
  /** A proof from this size is required. */
  | { kind: 'since'; size: number }
  | { kind: 'conflict'; conflict: AuditConflict; why: string }
  | { kind: 'refused' };

export const cosignBytes = (head: SignedHead): Uint8Array =>
  encodeCbor([COSIGN_DOMAIN, head.signer, head.size, head.root, head.atMs]);

export class AuditWitness {
  readonly #store: Store;
  readonly #crypto: Crypto;
  readonly #heads = new Map<PeerId, SignedHead>();
  readonly #conflicts = new Map<PeerId, AuditConflict>();

  constructor(store: Store, crypto: Crypto) {
    this.#store = store;
    this.#crypto = crypto;
  }

  async open(): Promise<void> {
    for (const [key, value] of await this.#store.range(HEAD_PREFIX, { limit: MAX_PEERS })) {
      const head = headSchema.safeParse(decodeCbor(value));
      if (head.success) this.#heads.set(key.slice(HEAD_PREFIX.length), head.data);
    }
    for (const [key, value] of await this.#store.range(PROOF_PREFIX, { limit: MAX_PEERS })) {
      const conflict = conflictSchema.safeParse(decodeCbor(value));
      if (conflict.success) this.#conflicts.set(key.slice(PROOF_PREFIX.length), conflict.data);
    }
  }

  /** Agents with conflicting logs, and why. */
  conflicts(): { peer: PeerId; conflict: AuditConflict; why: string }[] {
    return [...this.#conflicts].map(([peer, conflict]) => ({ peer, conflict, why: conflictOf(this.#crypto, conflict) ?? '' }));
  }

  headOf(peer: PeerId): SignedHead | undefined {
    return this.#heads.get(peer);
  }

  /** Checks the head that an agent shows of its own log. */
  async judge(from: PeerId, encoded: Uint8Array): Promise<Witnessed> {
    const shown = shownSchema.safeParse(decodeCbor(encoded));
    if (!shown.success || shown.data.head.signer !== from || !isSigned(this.#crypto, shown.data.head)) return { kind: 'refused' };
    const { head: later, oldSize, oldRoot, path } = shown.data;
    const earlier = this.#heads.get(from);
    if (earlier === undefined) return this.#sign(from, later);
    const bare = conflictOf(this.#crypto, { earlier, later, instead: null });
    if (bare !== undefined) return this.#caught(from, { earlier, later, instead: null }, bare);
    if (later.size <= earlier.size) return this.#sign(from, earlier);
    if (oldSize !== earlier.size) return { kind: 'since', size: earlier.size };
    const roots = rootsFromConsistency(earlier.size, later.size, oldRoot, path, this.#crypto.hash);
    const holds = roots !== undefined && equalBytes(roots.old, oldRoot) && equalBytes(roots.new, later.root);
    if (holds && equalBytes(oldRoot, earlier.root)) return this.#sign(from, later);
    const conflict = { earlier, later, instead: { oldRoot, path } };
    const why = conflictOf(this.#crypto, conflict);
    return why === undefined ? { kind: 'refused' } : this.#caught(from, conflict, why);
  }

  /** Stores a conflict from another member if its proof is valid. @returns its agent, if the conflict is new */
  async take(encoded: unknown): Promise<PeerId | undefined> {
    const conflict = conflictSchema.safeParse(encoded);
    if (!conflict.success || conflictOf(this.#crypto, conflict.data) === undefined) return undefined;
    const { signer } = conflict.data.earlier;
    if (this.#conflicts.has(signer) || this.#conflicts.size >= MAX_PEERS) return undefined;
    await this.#keep(signer, conflict.data);
    return signer;
  }

  async #keep(peer: PeerId, conflict: AuditConflict): Promise<void> {
    this.#conflicts.set(peer, conflict);
    await this.#store.write([{ kind: 'put', key: PROOF_PREFIX + peer, value: encodeCbor(conflict) }]);
  }

  async #caught(peer: PeerId, conflict: AuditConflict, why: string): Promise<Witnessed> {
    if (!this.#conflicts.has(peer)) await this.#keep(peer, conflict);
    return { kind: 'conflict', conflict, why };
  }

  async #sign(peer: PeerId, head: SignedHead): Promise<Witnessed> {
    if (this.#heads.get(peer) !== head) {
      this.#heads.set(peer, head);
      await this.#store.write([{ kind: 'put', key: HEAD_PREFIX + peer, value: encodeCbor(head) }]);
    }
    return { kind: 'signed', signature: this.#crypto.sign(cosignBytes(head)) };
  }
}
