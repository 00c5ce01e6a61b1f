// What an address tells: by itself, for the command line loads it with every call.

/** Of `host:port`: reachable from this machine alone. */
export function isLoopback(address: string): boolean {
  return /^(127\.|localhost|\[::1\]|::1)/.test(address);
}
