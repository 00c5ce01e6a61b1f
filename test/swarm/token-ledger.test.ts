// Join tokens: each used as often as it says and no longer than it lives, by whichever issuer, and known as used where either knows it.
import { beforeEach, describe, expect, it } from 'vitest';
import { TokenLedger } from '../../swarm/identity/token-ledger.ts';
import type { Store, StoreOperation } from '../../swarm/ports/store.ts';

const NOW = 1_000_000;
const DAY = 86_400_000;
const hash = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes, (byte) => byte ^ 0x5a);
const secret = Uint8Array.of(1, 2, 3);
const idOf = (nth: number): string => nth.toString(16).padStart(16, '0');
const bytesOf = (id: string): Uint8Array => Uint8Array.from(id.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const FIRST = idOf(1);
const UNKNOWN = { ok: false, code: 'token', text: 'this issuer does not know the token' };

function storeOf(content = new Map<string, Uint8Array>()) {
  const write = async (operations: readonly StoreOperation[]): Promise<void> => {
    for (const one of operations) {
      if (one.kind === 'put') content.set(one.key, one.value);
      else content.delete(one.key);
    }
  };
  const range = async (prefix: string) => [...content].filter(([key]) => key.startsWith(prefix));
  return { content, store: { write, range } as unknown as Store };
}

let ledger: TokenLedger;
let { content, store } = storeOf();
beforeEach(() => {
  ({ content, store } = storeOf());
  ledger = new TokenLedger(store, hash);
});
const add = (usesLeft = 2, id = FIRST, to = ledger, expiresMs = NOW + 1_000): Promise<void> =>
  to.add({ id, role: 'member', expiresMs, usesLeft }, secret, NOW);
const redeem = (by: string, nowMs = NOW, from = ledger, its = secret) => from.redeem(bytesOf(FIRST), its, by, nowMs);
const uses = (of: TokenLedger): number | undefined => of.list()[0]?.usesLeft;

describe('a token', () => {
  it('is redeemed as often as it says; who redeemed it before gets the same again, for no further use', async () => {
    await add(2);
    expect(redeem('a')).toMatchObject({ ok: true, role: 'member' });
    expect(redeem('a')).toMatchObject({ ok: true });
    expect(uses(ledger)).toBe(1);
    expect(redeem('b')).toMatchObject({ ok: true });
    expect(redeem('c')).toMatchObject({ ok: false, text: expect.stringContaining('used already') });
    expect([redeem('a').ok, redeem('b').ok]).toEqual([true, true]);
    expect(ledger.list()).toMatchObject([{ usesLeft: 0, redeemedBy: ['a', 'b'] }]);
  });

  it('ends at its time, by hand, and tells one with a wrong secret nothing', async () => {
    await add();
    expect(redeem('a', NOW + 999).ok).toBe(true);
    expect(redeem('a', NOW + 1_000)).toMatchObject({ ok: false, text: expect.stringContaining('has expired') });
    expect(redeem('b', NOW, ledger, Uint8Array.of(9))).toEqual(UNKNOWN);
    expect([await ledger.revoke(FIRST), await ledger.revoke(FIRST), await ledger.revoke(idOf(2))]).toEqual([true, false, false]);
    expect([redeem('a'), ledger.list()]).toEqual([UNKNOWN, []]);
  });

  it('is as it was after a restart, ended ones too', async () => {
    await add(2);
    await add(1, idOf(2));
    const redeemed = redeem('a');
    if (!redeemed.ok || redeemed.persist === undefined) throw new Error('it was not redeemed');
    await store.write([redeemed.persist]);
    await ledger.revoke(idOf(2));
    const again = new TokenLedger(store, hash);
    await again.open();
    expect(again.list()).toEqual(ledger.list());
    expect(again.list()).toMatchObject([{ id: FIRST, usesLeft: 1, redeemedBy: ['a'] }]);
    expect(again.redeem(bytesOf(idOf(2)), secret, 'b', NOW)).toEqual(UNKNOWN);
    // What is none is passed over.
    content.set('token/x', Uint8Array.of(0xf6));
    await new TokenLedger(store, hash).open();
  });

  it('is forgotten a week after its end, and no more than a thousand are kept', async () => {
    await add(1);
    await ledger.add({ id: idOf(2), role: 'member', expiresMs: NOW + 9 * DAY, usesLeft: 1 }, secret, NOW + 1_000 + 7 * DAY);
    expect(ledger.list().map(({ id }) => id)).toEqual([FIRST, idOf(2)]);
    await ledger.add({ id: idOf(3), role: 'member', expiresMs: NOW + 9 * DAY, usesLeft: 1 }, secret, NOW + 1_001 + 7 * DAY);
    expect(ledger.list().map(({ id }) => id)).toEqual([idOf(2), idOf(3)]);
    expect([...content.keys()]).toEqual([`token/${idOf(2)}`, `token/${idOf(3)}`]);
    for (let nth = 4; nth <= 1_001; nth++) await add(1, idOf(nth));
    await expect(add(1, idOf(2_000))).rejects.toThrow('there are 1000 tokens already');
  });
});

describe('what two issuers know of a token', () => {
  const handOver = async (
    from: TokenLedger,
    to: TokenLedger,
    maker: string | undefined,
    mayMakeCommittee = false,
  ): Promise<void> => {
    for (const one of from.shared()) await to.merge(one.maker ?? maker, one.token, mayMakeCommittee);
  };
  let other: TokenLedger;
  beforeEach(() => {
    other = new TokenLedger(storeOf().store, hash);
  });

  it('counts as used where either knows it so', async () => {
    await add(3);
    await handOver(ledger, other, 'maker');
    expect([other.makerOf(bytesOf(FIRST)), ledger.makerOf(bytesOf(FIRST)), uses(other)]).toEqual(['maker', undefined, 3]);
    redeem('a');
    redeem('b', NOW, other);
    expect([uses(ledger), uses(other)]).toEqual([2, 2]);
    await handOver(other, ledger, 'other');
    await handOver(ledger, other, 'maker');
    expect([uses(ledger), uses(other)]).toEqual([1, 1]);
    // Said again, it is no further use; who made it stays who made it.
    await handOver(other, ledger, 'other');
    expect([uses(ledger), ledger.makerOf(bytesOf(FIRST))]).toEqual([1, undefined]);
    expect(ledger.list()[0]?.redeemedBy.toSorted()).toEqual(['a', 'b']);
  });

  it('is ended for both, and its time is the shorter one', async () => {
    await add(3);
    await handOver(ledger, other, 'maker');
    await other.merge('maker', [FIRST, 'member', NOW + 10, 3, [], hash(secret), false], false);
    await other.merge('maker', [FIRST, 'member', NOW + 9_999, 9, [], hash(secret), false], false);
    expect(other.list()).toMatchObject([{ expiresMs: NOW + 10, usesLeft: 3 }]);
    await ledger.revoke(FIRST);
    await handOver(ledger, other, 'maker');
    expect(other.list()).toEqual([]);
    await other.merge('maker', [FIRST, 'member', NOW + 9_999, 9, [], hash(secret), false], false);
    expect(redeem('c', NOW, other)).toEqual(UNKNOWN);
  });

  it('is believed of no stranger: no other secret, no seat without the right to give one, no token that nobody made', async () => {
    await add(3);
    await ledger.merge('liar', [FIRST, 'member', NOW + 1_000, 0, ['x', 'y', 'z'], Uint8Array.of(9), true], true);
    expect(uses(ledger)).toBe(3);
    const seat = [idOf(7), 'committee', NOW + 1_000, 1, [], hash(secret), false];
    await ledger.merge('peer', seat, false);
    expect(ledger.list().length).toBe(1);
    await ledger.merge('peer', seat, true);
    expect(ledger.list().length).toBe(2);
    await ledger.merge(undefined, [idOf(8), 'member', NOW + 1_000, 1, [], hash(secret), false], false);
    await ledger.merge('peer', ['short', 'member', NOW, 1, [], hash(secret), false], false);
    await ledger.merge('peer', [idOf(9), 'member', NOW, -1, [], hash(secret), false], false);
    expect(ledger.list().length).toBe(2);
    // A role that is known is not raised.
    await ledger.merge('peer', [FIRST, 'committee', NOW + 1_000, 3, [], hash(secret), false], true);
    expect(ledger.list()[0]?.role).toBe('member');
  });
});
