// What an address tells: by itself, for the command line loads it with every call.

/** Of `host:port`: reachable from this machine alone. */
export function isLoopback(address: string): boolean {
  return /^(127(\.\d{1,3}){3}|localhost|\[::1\])(:\d+)?$/.test(address);
}
