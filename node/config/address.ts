// Questions about listen addresses. A small file, because every command loads it.

/** Whether `host:port` is reachable from this machine only. */
export function isLoopback(address: string): boolean {
  return /^(127(\.\d{1,3}){3}|localhost|\[::1\])(:\d+)?$/.test(address);
}
