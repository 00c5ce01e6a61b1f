// A change in a file: who has signed it, whom it is for, for how long it may hold, and what is none.
import { describe, expect, it } from 'vitest';
import {
  changeBytes,
  changeRefusal,
  MAX_CHANGE_MS,
  OPERATORS_NEEDED,
  type SignedChange,
  signChange,
  signedChangeSchema,
  signersOf,
} from '../../node/action/signed-change.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import type { Roster } from '../../swarm/identity/roster.ts';

const NOW_MS = 1_700_000_000_000;
const cryptoOf = (index: number): ModelledCrypto => new ModelledCrypto(simulatedPeer(index, 1), new Uint8Array([1]));
const [self, anna, bob, eve, old] = [cryptoOf(0), cryptoOf(1), cryptoOf(2), cryptoOf(3), cryptoOf(4)];
const roster = {
  swarmId: 'swarm',
  operators: () => [
    { subject: anna.self, name: 'anna', untilMs: NOW_MS + 1 },
    { subject: bob.self, name: 'bob', untilMs: NOW_MS + 1 },
    { subject: old.self, name: 'old', untilMs: NOW_MS },
  ],
} as unknown as Roster;
const judging = { crypto: self, roster, peer: self.self, nowMs: NOW_MS };
const draft = (given: Partial<SignedChange> = {}): SignedChange => ({
  v: 1,
  swarm: 'swarm',
  node: 'web-1',
  peer: self.self,
  calls: [{ tool: 'service.restart', service: 'web' }],
  diff: ['a line'],
  reason: 'a drill',
  callsDigest: '0a',
  before: '0b',
  nonce: '0c',
  untilMs: NOW_MS + 1_000,
  signatures: [],
  ...given,
});
async function signedBy(change: SignedChange, ...signers: ModelledCrypto[]): Promise<SignedChange> {
  let signed = change;
  for (const signer of signers) signed = await signChange(signed, signer);
  return signed;
}

describe('a change', () => {
  it('holds once two operators have signed it, in any order', async () => {
    expect(OPERATORS_NEEDED).toBe(2);
    for (const signers of [
      [anna, bob],
      [bob, anna],
    ]) {
      const change = await signedBy(draft(), ...signers);
      expect(changeRefusal(change, judging)).toBeUndefined();
      expect(signersOf(change, judging).sort()).toEqual(['anna', 'bob']);
    }
  });

  it.each<[string, ModelledCrypto[], string]>([
    ['nobody', [], '0 have'],
    ['one', [anna], '1 has'],
    ['one twice', [anna, anna], '1 has'],
    ['one and a stranger', [anna, eve], '1 has'],
    ['one and an operator of before', [anna, old], '1 has'],
  ])('does not with the signature of %s', async (_who, signers, have) => {
    expect(changeRefusal(await signedBy(draft(), ...signers), judging)).toBe(
      `2 operators must sign the change, and ${have}: kalos change sign FILE --operator-key KEY`,
    );
  });

  it('replaces the signature of who signs again', async () => {
    const change = await signedBy(draft(), anna, bob, anna);
    expect(change.signatures.map(({ by }) => by)).toEqual([bob.self, anna.self]);
  });

  it('does not hold where anything in it was changed since', async () => {
    const change = await signedBy(draft(), anna, bob);
    const changes: Partial<SignedChange>[] = [
      { calls: [{ tool: 'service.stop', service: 'web' }] },
      { diff: [] },
      { reason: 'another' },
      { callsDigest: '0d' },
      { before: '0d' },
      { nonce: '0d' },
      { untilMs: NOW_MS + 1_001 },
      { node: 'web-2' },
    ];
    for (const altered of changes) expect(changeRefusal({ ...change, ...altered }, judging)).toContain('and 0 have');
    const [first, second] = change.signatures;
    const swapped = [
      { by: anna.self, signature: second?.signature ?? '' },
      { by: bob.self, signature: first?.signature ?? '' },
    ];
    expect(signersOf({ ...change, signatures: swapped }, judging)).toEqual([]);
    expect(signersOf({ ...change, signatures: [...change.signatures, ...change.signatures] }, judging).length).toBe(2);
  });

  it('signs the same whatever order its keys are in, and without its signatures', async () => {
    const change = draft();
    const { v, ...rest } = change;
    expect(changeBytes({ ...rest, v })).toEqual(changeBytes(change));
    expect(changeBytes(await signedBy(change, anna))).toEqual(changeBytes(change));
  });

  it.each<[string, Partial<SignedChange>, string | undefined]>([
    ['another swarm', { swarm: 'other' }, 'the change is for web-1, not for this machine'],
    ['another machine', { peer: 'other' }, 'the change is for web-1, not for this machine'],
    ['a time that has passed', { untilMs: NOW_MS }, 'the signed change has expired: draft a new one'],
    ['a moment more', { untilMs: NOW_MS + 1 }, undefined],
    ['two days', { untilMs: NOW_MS + 2 * MAX_CHANGE_MS }, undefined],
    [
      'more than two days',
      { untilMs: NOW_MS + 2 * MAX_CHANGE_MS + 1 },
      'the signed change expires too late: at most 48 h ahead are allowed',
    ],
  ])('for %s', async (_what, change, refusal) => {
    expect(changeRefusal(await signedBy(draft(change), anna, bob), judging)).toBe(refusal);
    expect(MAX_CHANGE_MS).toBe(24 * 3_600_000);
  });

  it.each<[string, Record<string, unknown>, boolean]>([
    ['as it is', {}, true],
    ['of another version', { v: 2 }, false],
    ['with what is unknown', { more: 1 }, false],
    ['without a call', { calls: [] }, false],
    ['of eight calls', { calls: Array(8).fill({ tool: 'x' }) }, true],
    ['of nine calls', { calls: Array(9).fill({ tool: 'x' }) }, false],
    ['without a reason', { reason: '' }, false],
    ['with a reason of 200 letters', { reason: 'x'.repeat(200) }, true],
    ['with a reason of 201 letters', { reason: 'x'.repeat(201) }, false],
    ['with half a byte', { nonce: '0' }, false],
    ['with capitals', { nonce: 'AB' }, false],
    ['with 1000 digits', { nonce: 'ab'.repeat(500) }, true],
    ['with 1002 digits', { nonce: 'ab'.repeat(501) }, false],
    ['with a thousand lines', { diff: Array(1_000).fill('x') }, true],
    ['with a thousand and one', { diff: Array(1_001).fill('x') }, false],
    ['with a long line', { diff: ['x'.repeat(1_001)] }, false],
    ['with sixteen signatures', { signatures: Array(16).fill({ by: 'x', signature: '' }) }, true],
    ['with seventeen', { signatures: Array(17).fill({ by: 'x', signature: '' }) }, false],
    ['until never', { untilMs: 0 }, false],
    ['until half a millisecond', { untilMs: 1.5 }, false],
  ])('in a file: %s', (_how, change, isOne) => {
    expect(signedChangeSchema.safeParse({ ...draft(), ...change }).success).toBe(isOne);
  });
});
