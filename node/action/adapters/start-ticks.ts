// When a process started: with its pid, it identifies the process (proc(5)).
import { readFileSync } from 'node:fs';

/** In jiffies since boot; undefined if the process has exited. */
export function startTicksOf(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19]);
  } catch {
    return undefined;
  }
}
