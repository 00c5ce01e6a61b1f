// An agent's key: where it is kept, what is wrong with a file that holds none, and what is signed with it.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Ed25519Crypto, identityFromSeed, loadIdentity, makeVerifier, writeWhole } from '../../swarm/libp2p/identity.ts';
import { keyFile, makeIdentity, makeRsaIdentity } from '../support/crypto.ts';

const work = mkdtempSync(join(tmpdir(), 'kalos-identity-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const [mine, other] = [await makeIdentity(), await makeIdentity()];
const stored = keyFile(mine);
const TEXT = new TextEncoder().encode('text');

describe('the key of an agent', () => {
  it('is made once, for its user alone, and is the same after that', async () => {
    const path = join(work, 'key');
    const made = await loadIdentity(path);
    expect([statSync(path).mode & 0o777, statSync(path).size, existsSync(`${path}.new`)]).toEqual([0o600, 68, false]);
    const again = await loadIdentity(path);
    expect([again.peer, again.privateKey.equals(made.privateKey)]).toEqual([made.peer, true]);
    expect(made.peer).not.toBe(mine.peer);
  });

  it.each<[string, (path: string) => void, string]>([
    ['is empty', (path) => writeFileSync(path, ''), 'is empty: it should contain a key of 68 bytes'],
    ['is cut', (path) => writeFileSync(path, stored.subarray(0, 67)), 'has 67 bytes: a key has 68'],
    ['is longer', (path) => writeFileSync(path, Buffer.concat([stored, Buffer.alloc(1)])), 'has 69 bytes: a key has 68'],
    ['is something else', (path) => writeFileSync(path, Buffer.alloc(68, 1)), 'has no Ed25519 key'],
    [
      'has a flipped bit in its private half',
      (path) =>
        writeFileSync(
          path,
          stored.map((byte, nth) => (nth === 10 ? byte ^ 1 : byte)),
        ),
      'is damaged: its private and public halves do not match',
    ],
    [
      'has a flipped bit in its public half',
      (path) =>
        writeFileSync(
          path,
          stored.map((byte, nth) => (nth === 60 ? byte ^ 1 : byte)),
        ),
      'is damaged: its private and public halves do not match',
    ],
    ['is a directory', (path) => mkdirSync(path), 'is a directory: it should be a key file'],
  ])('is not made again where its file %s: that is said', async (_title, damage, words) => {
    const path = join(mkdtempSync(join(work, 'damaged-')), 'key');
    damage(path);
    await expect(loadIdentity(path)).rejects.toThrow(`${path} ${words}`);
  });

  it('is in a file that can be read by nobody else, and there whole or not at all', async () => {
    const directory = mkdtempSync(join(work, 'whole-'));
    const path = join(directory, 'file');
    writeFileSync(path, 'before');
    chmodSync(path, 0o644);
    await writeWhole(path, 'after');
    expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual(['after', 0o600]);
    const taken = join(directory, 'taken');
    mkdirSync(taken);
    await expect(writeWhole(taken, 'x')).rejects.toThrow('EISDIR');
    expect(existsSync(`${taken}.new`)).toBe(false);
    await expect(writeWhole(join(directory, 'nowhere', 'file'), 'x')).rejects.toThrow('ENOENT');
  });

  it('is the same for the same seed', async () => {
    const peers = await Promise.all([1, 1, 2].map((byte) => identityFromSeed(new Uint8Array(32).fill(byte))));
    expect([peers[0]?.peer === peers[1]?.peer, peers[0]?.peer === peers[2]?.peer]).toEqual([true, false]);
  });
});

describe('what is signed', () => {
  it('is checked by anybody under the name of who signed it, and under no other', async () => {
    const crypto = new Ed25519Crypto(mine);
    const signature = crypto.sign(TEXT);
    expect([crypto.self, signature.length]).toEqual([mine.peer, 64]);
    const rsa = await makeRsaIdentity();
    for (const one of [crypto, new Ed25519Crypto(other), makeVerifier()]) {
      expect([mine.peer, mine.peer, other.peer, rsa.peer, 'nobody', ''].map((peer) => one.verify(peer, TEXT, signature))).toEqual(
        [
          true,
          true, // as it is remembered
          false,
          false,
          false,
          false,
        ],
      );
      expect(one.verify(mine.peer, TEXT.subarray(1), signature)).toBe(false);
      expect(one.verify(mine.peer, TEXT, signature.subarray(1))).toBe(false);
      expect(Buffer.from(one.hash(TEXT)).toString('hex')).toBe(
        '982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1',
      );
    }
  });

  it('is by a peer id that stands for a key of 32 bytes, and back', async () => {
    const crypto = new Ed25519Crypto(mine);
    const raw = mine.privateKey.publicKey.raw;
    const rsa = await makeRsaIdentity();
    expect([crypto.keyOf(mine.peer), crypto.keyOf(rsa.peer), crypto.keyOf('nobody')]).toEqual([raw, undefined, undefined]);
    for (const one of [crypto, makeVerifier()])
      expect([one.peerOf(raw), one.peerOf(raw.subarray(1)), one.peerOf(new Uint8Array())]).toEqual([
        mine.peer,
        undefined,
        undefined,
      ]);
  });

  it('is no certificate where it is none', () => {
    const crypto = new Ed25519Crypto(mine);
    expect([crypto.certificateEndMs(TEXT), crypto.certificateNames(TEXT)]).toEqual([undefined, []]);
  });
});
