// The log of a node: which entries it takes, up to where it is committed, and what of it is handed out to be applied, limits included.
import { describe, expect, it } from 'vitest';
import { RaftLog } from '../../consensus/raft/log.ts';
import { MemoryStorage } from '../../consensus/raft/storage.ts';
import { bytesOf, type Entry, NO_CONF } from '../../consensus/raft/types.ts';

const entry = (index: number, term = 1): Entry => ({ index, term, type: 'EntryNormal', data: new Uint8Array(10) });
const entries = (from: number, to: number, term = 1): Entry[] =>
  Array.from({ length: to - from + 1 }, (_, nth) => entry(from + nth, term));
const ONE = bytesOf([entry(1)]);

/** A log after a snapshot up to 5: entries 6 to 8 on disk, 9 and 10 not yet. */
function logOf(maxApplyingBytes = Number.POSITIVE_INFINITY) {
  const storage = new MemoryStorage();
  storage.applySnapshot({ index: 5, term: 1, conf: NO_CONF, data: new Uint8Array() });
  storage.append(entries(6, 8));
  const said: string[] = [];
  const log = new RaftLog(storage, maxApplyingBytes, (text) => said.push(text));
  log.append(entries(9, 10));
  return { log, said };
}

describe('a log', () => {
  it('begins with what the storage has', () => {
    const { log } = logOf();
    expect([log.firstIndex, log.lastIndex, log.committed, log.applying, log.applied]).toEqual([6, 10, 5, 5, 5]);
    expect(log.last).toEqual({ index: 10, term: 1 });
    expect([log.term(5), log.termOrZero(4), log.termOrZero(11)]).toEqual([1, 0, 0]);
    expect(() => log.term(4)).toThrow('compaction');
    expect(() => log.term(11)).toThrow('unavailable');
  });

  it.each([
    [{ index: 10, term: 1 }, true],
    [{ index: 9, term: 1 }, false],
    [{ index: 6, term: 2 }, true],
    [{ index: 99, term: 0 }, false],
  ])('is behind whoever ends with %o: %s', (theirs, isBehind) => {
    expect(logOf().log.isUpToDate(theirs)).toBe(isBehind);
  });

  it('takes what follows an entry of its own, and from the first that differs on', () => {
    const { log, said } = logOf();
    expect(log.maybeAppend({ index: 10, term: 2 }, [entry(11)], 11)).toBeUndefined();
    expect(log.maybeAppend({ index: 8, term: 1 }, entries(9, 10), 20)).toBe(10);
    expect([log.lastIndex, log.committed, said]).toEqual([10, 10, []]);
    const other = logOf();
    expect(other.log.maybeAppend({ index: 8, term: 1 }, [entry(9), entry(10, 2), entry(11, 2)], 0)).toBe(11);
    expect([other.log.last, other.log.term(9)]).toEqual([{ index: 11, term: 2 }, 1]);
    expect(other.said[0]).toBe('found conflict at index 10 [existing term: 1, conflicting term: 2]');
  });

  it('gives up nothing that is committed', () => {
    const { log } = logOf();
    log.commitTo(9);
    expect(() => log.maybeAppend({ index: 8, term: 1 }, [entry(9, 2)], 9)).toThrow(
      'entry 9 conflict with committed entry [committed(9)]',
    );
    expect(() => log.append([entry(9, 2)])).toThrow('after(8) is out of range [committed(9)]');
    log.append([entry(10, 2)]);
    expect(log.last).toEqual({ index: 10, term: 2 });
  });

  it.each([
    [10, 1, { index: 10, term: 1 }],
    [10, 0, { index: 4, term: 0 }],
    [3, 9, { index: 3, term: 0 }],
    [0, 9, { index: 0, term: 0 }],
  ])('from %i down has as the last entry of a term up to %i: %o', (from, term, found) => {
    expect(logOf().log.conflictByTerm(from, term)).toEqual(found);
  });

  it('is committed forwards only, no further than it goes, and by counting only in its own term', () => {
    const { log } = logOf();
    log.commitTo(7);
    log.commitTo(6);
    expect(log.committed).toBe(7);
    expect(() => log.commitTo(11)).toThrow('tocommit(11) is out of range [lastIndex(10)]');
    const counted = (
      [
        [7, 1],
        [8, 0],
        [8, 2],
        [8, 1],
      ] as const
    ).map(([index, term]) => log.maybeCommit({ index, term }));
    expect([counted, log.committed]).toEqual([[false, false, false, true], 8]);
  });
});

describe('what is handed out to be applied', () => {
  it('is committed, and on disk unless it may be before', () => {
    const { log } = logOf();
    expect([log.hasNextCommitted(true), log.nextCommitted(true)]).toEqual([false, []]);
    log.commitTo(10);
    expect(log.nextCommitted(false).map(({ index }) => index)).toEqual([6, 7, 8]);
    expect(log.nextCommitted(true).map(({ index }) => index)).toEqual([6, 7, 8, 9, 10]);
    log.acceptApplying(8, 3 * ONE, false);
    expect([log.hasNextCommitted(false), log.hasNextCommitted(true), log.nextCommitted(true).length]).toEqual([false, true, 2]);
  });

  it('is no more than the bytes allow until some of it is applied', () => {
    const { log } = logOf(2 * ONE);
    log.commitTo(10);
    expect(log.nextCommitted(true).map(({ index }) => index)).toEqual([6, 7]);
    log.acceptApplying(7, 2 * ONE, true);
    expect([log.hasNextCommitted(true), log.nextCommitted(true)]).toEqual([false, []]);
    log.appliedTo(6, ONE);
    expect(log.nextCommitted(true).map(({ index }) => index)).toEqual([8]);
    log.appliedTo(7, 9 * ONE); // never below none
    expect(log.nextCommitted(true).map(({ index }) => index)).toEqual([8, 9]);
  });

  it('stops where more was left out than the bytes allow for', () => {
    const { log } = logOf(10 * ONE);
    log.commitTo(10);
    log.acceptApplying(7, 2 * ONE, true);
    expect(log.hasNextCommitted(true)).toBe(false);
    log.appliedTo(7, 2 * ONE);
    expect(log.hasNextCommitted(true)).toBe(true);
  });

  it('is neither before what is committed nor behind what is applied', () => {
    const { log } = logOf();
    log.commitTo(8);
    expect(() => log.acceptApplying(9, 0, true)).toThrow('applying(9) is out of range [committed(8)]');
    log.appliedTo(7, 0);
    expect(() => log.appliedTo(9, 0)).toThrow('applied(9) is out of range [prevApplied(7), committed(8)]');
    expect(() => log.appliedTo(6, 0)).toThrow('applied(6) is out of range');
    expect([log.applied, log.applying]).toEqual([7, 7]);
  });
});

describe('a slice', () => {
  it('is of the disk, of memory, or of both, as far as the bytes go, and one entry at least', () => {
    const { log } = logOf();
    const of = (from: number, to: number, bytes = Number.POSITIVE_INFINITY): number[] =>
      log.slice(from, to, bytes).map(({ index }) => index);
    expect([of(6, 6), of(6, 8), of(9, 11), of(7, 11)]).toEqual([[], [6, 7], [9, 10], [7, 8, 9, 10]]);
    expect([of(7, 11, 0), of(7, 11, 2 * ONE), of(7, 11, 3 * ONE - 1), of(7, 11, 3 * ONE)]).toEqual([
      [7],
      [7, 8],
      [7, 8],
      [7, 8, 9],
    ]);
    expect(log.entries(11, 1)).toEqual([]);
    expect(log.entries(10, ONE).map(({ index }) => index)).toEqual([10]);
    expect(() => log.slice(5, 7, ONE)).toThrow('compaction');
  });
});
