// A probe on the wire: one byte for its kind, and a token of four bytes that the answer repeats.
export interface Probe {
  kind: 'ping' | 'pong';
  token: number;
}

const PROBE_BYTES = 5;

export function encodeProbe({ kind, token }: Probe): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(PROBE_BYTES));
  bytes.setUint8(0, kind === 'ping' ? 0 : 1);
  bytes.setUint32(1, token);
  return new Uint8Array(bytes.buffer);
}

/** Undefined if malformed. */
export function decodeProbe(bytes: Uint8Array): Probe | undefined {
  const kind = bytes[0];
  if (bytes.length !== PROBE_BYTES || kind === undefined || kind > 1) return undefined;
  return { kind: kind === 0 ? 'ping' : 'pong', token: new DataView(bytes.buffer, bytes.byteOffset).getUint32(1) };
}
