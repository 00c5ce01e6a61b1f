// The tokens that this issuer made: kept on disk, each redeemed as often as it says and no longer than it lives.
import { z } from 'zod';
import { decodeCbor, encodeCbor, equalBytes, toHex } from '../dissemination/cbor.ts';
import type { Crypto } from '../ports/crypto.ts';
import type { Store, StoreOperation } from '../ports/store.ts';
import type { PeerId } from '../ports/transport.ts';
import type { Role } from './record.ts';

const PREFIX = 'token/';
const MAX_TOKENS = 1_000;
/** An ended token is remembered for a while, so that who comes late is told why. */
const KEPT_AFTER_END_MS = 7 * 86_400_000;
const MAX_REDEEMERS = 1_000;

export interface IssuedToken {
  /** Hex. */
  id: string;
  role: Role;
  expiresMs: number;
  usesLeft: number;
  redeemedBy: readonly PeerId[];
}

interface Kept extends IssuedToken {
  secretHash: Uint8Array;
}

const storedSchema = z.object({
  id: z.string(),
  role: z.enum(['member', 'committee']),
  expiresMs: z.number(),
  usesLeft: z.number().int(),
  redeemedBy: z.array(z.string()),
  secretHash: z.instanceof(Uint8Array),
});

export type Redemption = { ok: true; role: Role; persist: StoreOperation } | { ok: false; code: 'token'; text: string };

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

  list(): IssuedToken[] {
    return [...this.#tokens.values()].map(({ secretHash: _, ...token }) => token);
  }

  /** @throws RangeError where there are too many. */
  async add(token: Omit<IssuedToken, 'redeemedBy'>, secret: Uint8Array, nowMs: number): Promise<void> {
    await this.#reap(nowMs);
    if (this.#tokens.size >= MAX_TOKENS) throw new RangeError(`there are ${MAX_TOKENS} tokens already: let some end first`);
    const kept: Kept = { ...token, redeemedBy: [], secretHash: this.#hash(secret) };
    this.#tokens.set(token.id, kept);
    await this.#store.write([this.#put(kept)]);
  }

  async revoke(id: string): Promise<boolean> {
    if (!this.#tokens.delete(id)) return false;
    await this.#store.write([{ kind: 'delete', key: `${PREFIX}${id}` }]);
    return true;
  }

  /** Takes one use, at once; what it returns must be durable before anything is granted for it. Who redeemed it before, and was not answered, gets the same again. */
  redeem(id: Uint8Array, secret: Uint8Array, by: PeerId, nowMs: number): Redemption {
    const no = (text: string): Redemption => ({ ok: false, code: 'token', text });
    const token = this.#tokens.get(toHex(id));
    // A wrong secret is told nothing more than a token that never was.
    if (token === undefined || !equalBytes(token.secretHash, this.#hash(secret))) return no('this issuer knows no such token');
    if (token.expiresMs <= nowMs) return no('the token has expired: make a new one with kalos token create');
    if (!token.redeemedBy.includes(by)) {
      if (token.usesLeft <= 0) return no('the token was used already: make a new one with kalos token create');
      token.usesLeft--;
      token.redeemedBy = [...token.redeemedBy, by].slice(-MAX_REDEEMERS);
    }
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
