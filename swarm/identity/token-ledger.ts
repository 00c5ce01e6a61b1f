// The tokens of this issuer and of the other issuers, which exchange them: on disk, each with a limit of uses and a lifetime. The issuer that
// created a token redeems it while it is alive; else any other issuer does.
import { z } from 'zod';
import { decodeCbor, encodeCbor, equalBytes, toHex } from '../dissemination/cbor.ts';
import type { Crypto } from '../ports/crypto.ts';
import type { Store, StoreOperation } from '../ports/store.ts';
import type { PeerId } from '../ports/transport.ts';
import type { Role } from './record.ts';

const PREFIX = 'token/';
const MAX_TOKENS = 1_000;
/** An expired or revoked token is remembered for some time, so that a late newcomer gets the reason. */
const KEPT_AFTER_END_MS = 7 * 86_400_000;
const MAX_REDEEMERS = 1_000;

export interface IssuedToken {
  /** Hex. */
  id: string;
  role: Role;
  expiresMs: number;
  usesLeft: number;
  redeemedBy: readonly PeerId[];
  /** The issuer that created it; undefined: this one. */
  maker?: PeerId | undefined;
}

interface Kept extends IssuedToken {
  secretHash: Uint8Array;
  /** Revoked by a person before it expired. */
  ended?: boolean | undefined;
  /** The peers that showed its secret here; other issuers report the rest. */
  shown?: string[] | undefined;
}

const storedSchema = z.object({
  id: z.string(),
  role: z.enum(['member', 'committee']),
  expiresMs: z.number(),
  usesLeft: z.number().int(),
  redeemedBy: z.array(z.string()),
  secretHash: z.instanceof(Uint8Array),
  maker: z.string().optional(),
  ended: z.boolean().optional(),
  shown: z.array(z.string()).optional(),
});

const sharedSchema = z.tuple([
  z.string().length(16),
  z.enum(['member', 'committee']),
  z.number().nonnegative(),
  z.number().int().nonnegative(),
  z.array(z.string()).max(MAX_REDEEMERS),
  z.instanceof(Uint8Array),
  z.boolean(),
]);

/** `persist`: undefined if another issuer has stored it. */
export type Redemption =
  | { ok: true; role: Role; persist: StoreOperation | undefined }
  | { ok: false; code: 'token'; text: string };

export class TokenLedger {
  readonly #store: Store;
  readonly #hash: Crypto['hash'];
  readonly #tokens = new Map<string, Kept>();

  constructor(store: Store, hash: Crypto['hash']) {
    this.#store = store;
    this.#hash = hash;
  }

  async open(): Promise<void> {
    for (const [, bytes] of await this.#store.range(PREFIX, { limit: MAX_TOKENS })) {
      const token = storedSchema.safeParse(decodeCbor(bytes)).data;
      if (token !== undefined) this.#tokens.set(token.id, token);
    }
  }

  /** Whether it showed the secret of a token for the committee here. */
  seated(peer: PeerId): boolean {
    return [...this.#tokens.values()].some(({ role, shown = [] }) => role === 'committee' && shown.includes(peer));
  }

  list(): IssuedToken[] {
    return [...this.#tokens.values()]
      .filter(({ ended }) => ended !== true)
      .map(({ secretHash: _, ended: __, shown: ___, ...token }) => token);
  }

  /** The other issuer that created a token; undefined if this one did, or if unknown. */
  makerOf(id: Uint8Array): PeerId | undefined {
    return this.#tokens.get(toHex(id))?.maker;
  }

  /** For the other issuers: the state of a token, and the issuer that created it. */
  shared(): { maker: PeerId | undefined; token: unknown }[] {
    return [...this.#tokens.values()].map(({ maker, id, role, expiresMs, usesLeft, redeemedBy, secretHash, ended }) => ({
      maker,
      token: [id, role, expiresMs, usesLeft, redeemedBy, secretHash, ended === true],
    }));
  }

  /** Merges another issuer's state of a token: a use that either knows counts. */
  async merge(maker: PeerId | undefined, shared: unknown, mayMakeCommittee: boolean): Promise<void> {
    const wire = sharedSchema.safeParse(shared).data;
    if (wire === undefined) return;
    const [id, role, expiresMs, usesLeft, redeemedBy, secretHash, ended] = wire;
    const known = this.#tokens.get(id);
    if (known === undefined ? role === 'committee' && !mayMakeCommittee : !equalBytes(known.secretHash, secretHash)) return;
    // This issuer knows its own tokens, except for those that it has removed since.
    if (known === undefined && (maker === undefined || this.#tokens.size >= MAX_TOKENS)) return;
    const all = [...new Set([...(known?.redeemedBy ?? []), ...redeemedBy])].slice(-MAX_REDEEMERS);
    const uses = Math.min(
      usesLeft + redeemedBy.length,
      known === undefined ? Number.POSITIVE_INFINITY : known.usesLeft + known.redeemedBy.length,
    );
    const merged: Kept = {
      id,
      role: known?.role ?? role,
      expiresMs: Math.min(expiresMs, known?.expiresMs ?? expiresMs),
      usesLeft: Math.max(0, uses - all.length),
      redeemedBy: all,
      secretHash,
      ended: ended || known?.ended === true,
      maker: known === undefined ? maker : known.maker,
      shown: known?.shown,
    };
    if (known !== undefined && isSame(known, merged)) return;
    this.#tokens.set(id, merged);
    await this.#store.write([this.#put(merged)]);
  }

  /** @throws RangeError if there are too many. */
  async add(token: Omit<IssuedToken, 'redeemedBy'>, secret: Uint8Array, nowMs: number): Promise<void> {
    await this.#reap(nowMs);
    if (this.#tokens.size >= MAX_TOKENS) throw new RangeError(`there are ${MAX_TOKENS} tokens already: revoke some first`);
    const kept: Kept = { ...token, redeemedBy: [], secretHash: this.#hash(secret) };
    this.#tokens.set(token.id, kept);
    await this.#store.write([this.#put(kept)]);
  }

  async revoke(id: string): Promise<boolean> {
    const token = this.#tokens.get(id);
    if (token === undefined || token.ended === true) return false;
    // Kept for some time, so that the others revoke it too.
    token.ended = true;
    await this.#store.write([this.#put(token)]);
    return true;
  }

  /**
   * Takes one use synchronously; the result must be durable before a grant is sent. A peer that redeemed it before and got no answer gets the
   * same again.
   */
  redeem(id: Uint8Array, secret: Uint8Array, by: PeerId, nowMs: number): Redemption {
    const no = (text: string): Redemption => ({ ok: false, code: 'token', text });
    const token = this.#tokens.get(toHex(id));
    // A wrong secret gets the same answer as an unknown token.
    if (token === undefined || token.ended === true || !equalBytes(token.secretHash, this.#hash(secret)))
      return no('this issuer does not know the token');
    if (token.expiresMs <= nowMs) return no('the token has expired: create a new one with kalos token create');
    if (!token.redeemedBy.includes(by)) {
      if (token.usesLeft <= 0) return no('the token was used already: create a new one with kalos token create');
      token.usesLeft--;
      token.redeemedBy = [...token.redeemedBy, by].slice(-MAX_REDEEMERS);
    }
    token.shown = [...new Set([...(token.shown ?? []), by])].slice(-MAX_REDEEMERS);
    return { ok: true, role: token.role, persist: this.#put(token) };
  }

  #put(token: Kept): StoreOperation {
    return { kind: 'put', key: `${PREFIX}${token.id}`, value: encodeCbor({ ...token }) };
  }

  async #reap(nowMs: number): Promise<void> {
    const ended = [...this.#tokens.values()].filter(({ expiresMs }) => expiresMs + KEPT_AFTER_END_MS < nowMs);
    for (const { id } of ended) this.#tokens.delete(id);
    await this.#store.write(ended.map(({ id }) => ({ kind: 'delete', key: `${PREFIX}${id}` })));
  }
}

function isSame(a: Kept, b: Kept): boolean {
  return (
    a.usesLeft === b.usesLeft &&
    a.redeemedBy.length === b.redeemedBy.length &&
    a.expiresMs === b.expiresMs &&
    (a.ended ?? false) === b.ended
  );
}
