// Tokens for the HTTP API, with a scope and an expiry. Only their digests are stored.
import { z } from 'zod';
import { decodeCbor, encodeCbor, equalBytes, toHex, utf8 } from '../../swarm/dissemination/cbor.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { Random } from '../../swarm/ports/random.ts';
import type { Store } from '../../swarm/ports/store.ts';

/** What a token allows; each scope includes those before it. */
export const SCOPES = ['read', 'operate', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** What a request may do; each level includes those before it. `look`: data without secrets, for users of the machine without a token. */
export const LEVELS = ['look', ...SCOPES] as const;
export type Level = (typeof LEVELS)[number];
export const reaches = (level: Level, needed: Level): boolean => LEVELS.indexOf(level) >= LEVELS.indexOf(needed);

const PREFIX = 'api-token/';
const TEXT = /^kapi_([0-9a-f]{12})_([0-9a-f]{64})$/;
const ID_BYTES = 6;
const SECRET_BYTES = 32;
const MAX_TOKENS = 100;

const tokenSchema = z.strictObject({
  id: z.string(),
  name: z.string(),
  scope: z.enum(SCOPES),
  /** Wall clock. */
  untilMs: z.number(),
  digest: z.custom<Uint8Array>((value) => value instanceof Uint8Array),
});
export type ApiToken = z.infer<typeof tokenSchema>;

export class ApiTokens {
  readonly #ports: { store: Store; crypto: Pick<Crypto, 'hash'>; random: Random };
  readonly #tokens = new Map<string, ApiToken>();

  constructor(ports: { store: Store; crypto: Pick<Crypto, 'hash'>; random: Random }) {
    this.#ports = ports;
  }

  async open(): Promise<void> {
    for (const [, bytes] of await this.#ports.store.range(PREFIX, { limit: MAX_TOKENS })) {
      const token = tokenSchema.safeParse(decodeCbor(bytes));
      if (token.success) this.#tokens.set(token.data.id, token.data);
    }
  }

  list(): Omit<ApiToken, 'digest'>[] {
    return [...this.#tokens.values()].map(({ id, name, scope, untilMs }) => ({ id, name, scope, untilMs }));
  }

  /** @returns its text, which is shown once. @throws RangeError if there are too many. */
  async make(name: string, scope: Scope, untilMs: number): Promise<string> {
    const { random, store, crypto } = this.#ports;
    if (this.#tokens.size >= MAX_TOKENS) throw new RangeError(`there are already ${MAX_TOKENS} API tokens: revoke one first`);
    const [id, secret] = [toHex(random.bytes(ID_BYTES)), toHex(random.bytes(SECRET_BYTES))];
    const token: ApiToken = { id, name, scope, untilMs, digest: crypto.hash(utf8(secret)) };
    await store.write([{ kind: 'put', key: PREFIX + id, value: encodeCbor(token) }]);
    this.#tokens.set(id, token);
    return `kapi_${id}_${secret}`;
  }

  async end(id: string): Promise<boolean> {
    if (!this.#tokens.delete(id)) return false;
    await this.#ports.store.write([{ kind: 'delete', key: PREFIX + id }]);
    return true;
  }

  /** The scope and id of a token; undefined if it is unknown or has expired. */
  askerOf(text: string, nowMs: number): { level: Scope; name: string } | undefined {
    const [, id = '', secret = ''] = text.match(TEXT) ?? [];
    const token = this.#tokens.get(id);
    if (token === undefined || token.untilMs <= nowMs) return undefined;
    // Digests are compared, so that the time taken reveals nothing about the secret.
    const isIt = equalBytes(this.#ports.crypto.hash(utf8(secret)), token.digest);
    return isIt ? { level: token.scope, name: id } : undefined;
  }
}
