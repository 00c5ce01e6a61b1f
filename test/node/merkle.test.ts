// The Merkle tree against the published vectors of certificate transparency (RFC 6962), and every proof of small trees.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  nodeHash,
  rangeHash,
  rootFromInclusion,
  rootsFromConsistency,
} from '../../node/audit/merkle.ts';

const hash = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest());
const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');

/** Entries and roots of the reference implementation's tests. */
const ENTRIES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

function tree(entries: readonly Uint8Array[]) {
  const leaves = entries.map((entry) => leafHash(entry, hash));
  const subtree = async (level: number, index: number): Promise<Uint8Array> => {
    if (level === 0) return leaves[index] as Uint8Array;
    return nodeHash(await subtree(level - 1, 2 * index), await subtree(level - 1, 2 * index + 1), hash);
  };
  return { leaves, subtree, root: (size: number) => rangeHash(0, size, subtree, hash) };
}

describe('the Merkle tree', () => {
  it('has the published roots', async () => {
    const { root } = tree(ENTRIES.map((entry) => Buffer.from(entry, 'hex')));
    expect(hex(await root(0))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    for (const [i, expected] of ROOTS.entries()) expect(hex(await root(i + 1))).toBe(expected);
  });

  const SIZES = 33;
  const { leaves, subtree, root } = tree(Array.from({ length: SIZES }, (_, i) => Buffer.from([i])));

  it('proves every leaf of every size, and no other leaf or place', async () => {
    for (let size = 1; size <= SIZES; size++) {
      const expected = hex(await root(size));
      for (let index = 0; index < size; index++) {
        const path = await inclusionProof(index, size, subtree, hash);
        const leaf = leaves[index] as Uint8Array;
        expect(hex(rootFromInclusion(leaf, index, size, path, hash))).toBe(expected);
        const other = (index + 1) % size;
        if (other !== index) expect(hex(rootFromInclusion(leaf, other, size, path, hash))).not.toBe(expected);
        expect(hex(rootFromInclusion(leaf, index, size, [...path, leaf], hash))).not.toBe(expected);
        if (path.length > 0) expect(hex(rootFromInclusion(leaf, index, size, path.slice(1), hash))).not.toBe(expected);
      }
    }
  });

  it('proves that it only grew, for every pair of sizes, and not from another past', async () => {
    for (let size = 1; size <= SIZES; size++) {
      for (let old = 1; old <= size; old++) {
        const [oldRoot, newRoot] = [await root(old), await root(size)];
        const path = await consistencyProof(old, size, subtree, hash);
        const roots = rootsFromConsistency(old, size, oldRoot, path, hash);
        expect([hex(roots?.old), hex(roots?.new)]).toEqual([hex(oldRoot), hex(newRoot)]);
        const forged = rootsFromConsistency(old, size, hash(oldRoot), path, hash);
        expect(forged !== undefined && hex(forged.old) === hex(hash(oldRoot)) && hex(forged.new) === hex(newRoot)).toBe(false);
      }
    }
  });
});
