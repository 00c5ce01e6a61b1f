// What two readings of the kernel's figures tell: growth and shares. A counter may fall, wrap, jump, vanish and come back, and two
// figures may contradict each other (a container's own MemTotal beside the host's MemAvailable). What does not add up is unknown:
// never negative, and no share outside 0…1.
import type { DiskSample, Sample } from '../ports/sensors.ts';

/** Seconds between two samples; undefined where there is no earlier one. */
export function elapsedS(sample: Sample, previous: Sample | undefined): number | undefined {
  if (previous === undefined || !(sample.monotonicMs > previous.monotonicMs)) return undefined;
  return (sample.monotonicMs - previous.monotonicMs) / 1_000;
}

/** What a counter grew by; undefined where one of the two is not known, or it went back: it was reset, or wrapped. */
export function grown(now: number | undefined, before: number | undefined): number | undefined {
  return now !== undefined && before !== undefined && now >= before && Number.isFinite(now) ? now - before : undefined;
}

/** A part of a whole: more than all of it is all of it, as for a table whose limit was lowered. */
export function shareOf(part: number | undefined, whole: number | undefined): number | undefined {
  if (part === undefined || whole === undefined || !(part >= 0) || !(whole > 0) || whole === Number.POSITIVE_INFINITY)
    return undefined;
  return Math.min(1, part / whole);
}

/** What is not free; undefined where more is free than there is. */
export function usedShare(total: number | undefined, free: number | undefined): number | undefined {
  return total === undefined || free === undefined || free < 0 ? undefined : shareOf(total - free, total);
}

/** Disks at the bottom: each byte passes one of them once. What is stacked on them (md, dm, bcache, drbd, loop, zram) is none. */
const BOTTOM = /^(?:((?:sd|hd|vd|xvd|dasd|ubd)[a-z]+)(\d*)|((?:nvme\d+n|mmcblk|nbd|rbd|pmem)\d+|cciss\/c\d+d\d+)(p\d+)?)$/;

/** Of all block devices those at the bottom; a partition where its disk is not there, as in some virtual machines. */
export function bottomDisks(devices: readonly DiskSample[]): DiskSample[] {
  const names = new Set(devices.map(({ device }) => device));
  return devices.filter(({ device }) => {
    const [, letters, number, numbered, part] = device.match(BOTTOM) ?? [];
    const disk = letters ?? numbered;
    return disk !== undefined && ((number ?? '') + (part ?? '') === '' || !names.has(disk));
  });
}
