// The Merkle tree of RFC 6962, section 2.1: a root over an append-only list, short proofs that an entry is in it, and
// that a longer list extends a shorter one. Pure: hashes of perfect subtrees come from the caller.

export type Hash = (bytes: Uint8Array) => Uint8Array;
/** The hash of the perfect subtree `index` of height `level`, over leaves [index · 2^level, (index + 1) · 2^level). */
export type SubtreeHash = (level: number, index: number) => Promise<Uint8Array>;

const LEAF = 0x00;
const NODE = 0x01;

function prefixed(prefix: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(1 + parts.reduce((sum, part) => sum + part.length, 0));
  bytes[0] = prefix;
  let at = 1;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export function leafHash(entry: Uint8Array, hash: Hash): Uint8Array {
  return hash(prefixed(LEAF, entry));
}

export function nodeHash(left: Uint8Array, right: Uint8Array, hash: Hash): Uint8Array {
  return hash(prefixed(NODE, left, right));
}

/** The largest power of two below `n`; `n` is at least 2. */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** MTH of the leaves [start, end). */
export async function rangeHash(start: number, end: number, subtree: SubtreeHash, hash: Hash): Promise<Uint8Array> {
  const size = end - start;
  if (size === 0) return hash(new Uint8Array());
  const level = Math.log2(size);
  if (Number.isInteger(level) && start % size === 0) return subtree(level, start / size);
  const k = split(size);
  return nodeHash(await rangeHash(start, start + k, subtree, hash), await rangeHash(start + k, end, subtree, hash), hash);
}

/** PATH(m, D[n]): the audit path of leaf `index` in the tree of `size` leaves. */
export async function inclusionProof(index: number, size: number, subtree: SubtreeHash, hash: Hash): Promise<Uint8Array[]> {
  const path = async (start: number, end: number): Promise<Uint8Array[]> => {
    if (end - start === 1) return [];
    const middle = start + split(end - start);
    return index < middle
      ? [...(await path(start, middle)), await rangeHash(middle, end, subtree, hash)]
      : [...(await path(middle, end)), await rangeHash(start, middle, subtree, hash)];
  };
  return path(0, size);
}

/** PROOF(m, D[n]): that the tree of `size` leaves extends that of `oldSize`; 0 < oldSize <= size. */
export async function consistencyProof(oldSize: number, size: number, subtree: SubtreeHash, hash: Hash): Promise<Uint8Array[]> {
  const subproof = async (start: number, end: number, whole: boolean): Promise<Uint8Array[]> => {
    if (end === oldSize) return whole ? [] : [await rangeHash(start, end, subtree, hash)];
    const middle = start + split(end - start);
    return oldSize <= middle
      ? [...(await subproof(start, middle, whole)), await rangeHash(middle, end, subtree, hash)]
      : [...(await subproof(middle, end, false)), await rangeHash(start, middle, subtree, hash)];
  };
  return subproof(0, size, true);
}

/** The root of a leaf and its path, to be compared with a trusted one (RFC 9162, section 2.1.3.2); undefined if the path does not fit. */
export function rootFromInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
  hash: Hash,
): Uint8Array | undefined {
  if (index >= size) return undefined;
  let node = index;
  let last = size - 1;
  let root = leaf;
  for (const sibling of path) {
    if (last === 0) return undefined;
    if (node % 2 === 1 || node === last) {
      root = nodeHash(sibling, root, hash);
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else {
      root = nodeHash(root, sibling, hash);
    }
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  return last === 0 ? root : undefined;
}

/** Both roots of a consistency proof (RFC 9162, section 2.1.4.2); undefined if it does not fit the sizes. */
export function rootsFromConsistency(
  oldSize: number,
  size: number,
  oldRoot: Uint8Array,
  path: readonly Uint8Array[],
  hash: Hash,
): { old: Uint8Array; new: Uint8Array } | undefined {
  if (oldSize === size) return path.length === 0 ? { old: oldRoot, new: oldRoot } : undefined;
  const isPowerOfTwo = Number.isInteger(Math.log2(oldSize));
  const [first, ...rest] = isPowerOfTwo ? [oldRoot, ...path] : path;
  if (oldSize <= 0 || oldSize > size || first === undefined) return undefined;
  let node = oldSize - 1;
  let last = size - 1;
  while (node % 2 === 1) [node, last] = [(node - 1) / 2, Math.floor(last / 2)];
  const roots = { old: first, new: first };
  for (const sibling of rest) {
    if (last === 0) return undefined;
    if (node % 2 === 1 || node === last) {
      roots.old = nodeHash(sibling, roots.old, hash);
      roots.new = nodeHash(sibling, roots.new, hash);
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else {
      roots.new = nodeHash(roots.new, sibling, hash);
    }
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  return last === 0 ? roots : undefined;
}
