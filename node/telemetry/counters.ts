// Growth and shares from two readings of kernel counters. A counter may fall, wrap, jump, vanish and come back, and two
// values may contradict each other (a container's MemTotal beside the host's MemAvailable). An inconsistent value is unknown:
// never negative, and never a share outside 0…1.
import type { DiskSample, Sample } from '../ports/sensors.ts';

/** Seconds between two samples; undefined without an earlier one. */
export function elapsedS(sample: Sample, previous: Sample | undefined): number | undefined {
  if (previous === undefined || !(sample.monotonicMs > previous.monotonicMs)) return undefined;
  return (sample.monotonicMs - previous.monotonicMs) / 1_000;
}

/** The growth of a counter; undefined if a value is unknown, or if it decreased (reset or wrapped). */
export function grown(now: number | undefined, before: number | undefined): number | undefined {
  return now !== undefined && before !== undefined && now >= before && Number.isFinite(now) ? now - before : undefined;
}

/** A part as a share of a whole, at most 1: a table may hold more than its lowered limit. */
export function shareOf(part: number | undefined, whole: number | undefined): number | undefined {
  if (part === undefined || whole === undefined || !(part >= 0) || !(whole > 0) || whole === Number.POSITIVE_INFINITY)
    return undefined;
  return Math.min(1, part / whole);
}

/** The used amount; undefined if more is free than there is. */
export function usedShare(total: number | undefined, free: number | undefined): number | undefined {
  return total === undefined || free === undefined || free < 0 ? undefined : shareOf(total - free, total);
}

/** Physical disks: each byte passes one of them once. Stacked devices (md, dm, bcache, drbd, loop, zram) are left out. */
const BOTTOM = /^(?:((?:sd|hd|vd|xvd|dasd|ubd)[a-z]+)(\d*)|((?:nvme\d+n|mmcblk|nbd|rbd|pmem)\d+|cciss\/c\d+d\d+)(p\d+)?)$/;

/** The physical disks of all block devices; or a partition without its disk, as in some virtual machines. */
export function bottomDisks(devices: readonly DiskSample[]): DiskSample[] {
  const names = new Set(devices.map(({ device }) => device));
  return devices.filter(({ device }) => {
    const [, letters, number, numbered, part] = device.match(BOTTOM) ?? [];
    const disk = letters ?? numbered;
    return disk !== undefined && ((number ?? '') + (part ?? '') === '' || !names.has(disk));
  });
}
