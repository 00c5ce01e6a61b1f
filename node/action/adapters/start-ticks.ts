// When a process started: with its pid, a name for good (proc(5)).
import { readFileSync } from 'node:fs';

/** In jiffies since boot; undefined where the process is gone. */
export function startTicksOf(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19]);
  } catch {
    return undefined;
  }
}
