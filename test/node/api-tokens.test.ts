// Tokens of the API over HTTP: what one allows and until when, that only a digest of it is kept, and what is none.
import { describe, expect, it } from 'vitest';
import { ApiTokens, type Level, reaches } from '../../node/agent/api-tokens.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { SeededRandom } from '../../sim/random.ts';
import { encodeCbor, toHex } from '../../swarm/dissemination/cbor.ts';
import { PlainStore } from '../support/store.ts';

const UNTIL_MS = 1_000;

function world(store = new PlainStore()) {
  const crypto = new ModelledCrypto(simulatedPeer(0, 1), new Uint8Array([1]));
  return { store, tokens: new ApiTokens({ store, crypto, random: new SeededRandom(store.content.size + 1, 'tokens') }) };
}

describe('a token of the API', () => {
  it('says who asks and with which scope, until it ends', async () => {
    const { tokens } = world();
    const text = await tokens.make('ops', 'operate', UNTIL_MS);
    const [, id = '', secret = ''] = text.match(/^kapi_([0-9a-f]{12})_([0-9a-f]{64})$/) ?? [];
    expect(tokens.list()).toEqual([{ id, name: 'ops', scope: 'operate', untilMs: UNTIL_MS }]);
    expect(tokens.askerOf(text, UNTIL_MS - 1)).toEqual({ level: 'operate', name: id });
    expect(tokens.askerOf(text, UNTIL_MS)).toBeUndefined();
    const other = secret.startsWith('0') ? `1${secret.slice(1)}` : `0${secret.slice(1)}`;
    const none = [`kapi_${id}_${other}`, `kapi_${'0'.repeat(12)}_${secret}`, `${text}0`, ` ${text}`, '', secret];
    for (const wrong of none) expect(tokens.askerOf(wrong, 0)).toBeUndefined();
  });

  it('is kept over a restart, its secret is not', async () => {
    const { store, tokens } = world();
    const text = await tokens.make('ops', 'admin', UNTIL_MS);
    const kept = [...store.content.values()].map((bytes) => toHex(bytes) + new TextDecoder().decode(bytes)).join();
    expect(kept).not.toContain(text.split('_')[2]);
    store.content.set('api-token/broken', encodeCbor(['no token']));
    const again = world(store).tokens;
    await again.open();
    expect(again.list()).toEqual(tokens.list());
    expect(again.askerOf(text, 0)?.level).toBe('admin');
  });

  it('ends when a person ends it, for good', async () => {
    const { store, tokens } = world();
    const text = await tokens.make('ops', 'read', UNTIL_MS);
    const [{ id } = { id: '' }] = tokens.list();
    expect([await tokens.end('other'), await tokens.end(id), await tokens.end(id)]).toEqual([false, true, false]);
    expect([tokens.askerOf(text, 0), tokens.list(), store.content.size]).toEqual([undefined, [], 0]);
  });

  it('is one of a hundred at most', async () => {
    const { tokens } = world();
    for (let i = 0; i < 100; i++) await tokens.make(`t${i}`, 'read', UNTIL_MS);
    await expect(tokens.make('more', 'read', UNTIL_MS)).rejects.toThrow(
      new RangeError('there are already 100 API tokens: revoke one first'),
    );
    expect(tokens.list().length).toBe(100);
  });
});

describe('a scope', () => {
  it('allows what those before it do', () => {
    const levels: Level[] = ['look', 'read', 'operate', 'admin'];
    const allowed = levels.map((level) => levels.filter((needed) => reaches(level, needed)).length);
    expect(allowed).toEqual([1, 2, 3, 4]);
  });
});
