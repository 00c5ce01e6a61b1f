// An observer's report: the members that it observes and cannot reach now, with the kind of alert. Only the newest report of an observer
// counts, so that a retracted alert is simply absent. CBOR [version, [[key (32 B), kind], …]].
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../dissemination/cbor.ts';
import { type Crypto, PEER_KEY_BYTES } from '../ports/crypto.ts';
import type { PeerId } from '../ports/transport.ts';

const REPORT_VERSION = 1;
/** Of a lost rack an observer watches only a few members; a report with more alerts than this is not credible. */
export const MAX_ALERTS = 256;

/** `refused`: the machine refuses connections. `silent`: nothing answers. */
/** `flapping`: it answers again, but its alert is not retracted yet: no reason to consider it down. By position; append only. */
export type AlertKind = 'silent' | 'refused' | 'flapping';
const KINDS: readonly AlertKind[] = ['silent', 'refused', 'flapping'];

export type Alerts = ReadonlyMap<PeerId, AlertKind>;

const wireSchema = z.tuple([
  z.literal(REPORT_VERSION),
  z
    .array(
      z.tuple([
        z.instanceof(Uint8Array).refine((key) => key.length === PEER_KEY_BYTES),
        z
          .number()
          .int()
          .min(0)
          .max(KINDS.length - 1),
      ]),
    )
    .max(MAX_ALERTS),
]);

export function encodeReport(crypto: Pick<Crypto, 'keyOf'>, alerts: Alerts): Uint8Array {
  const listed = [...alerts].slice(0, MAX_ALERTS);
  return encodeCbor([REPORT_VERSION, listed.map(([peer, kind]) => [crypto.keyOf(peer), KINDS.indexOf(kind)])]);
}

/** Undefined if malformed. */
export function decodeReport(crypto: Pick<Crypto, 'peerOf'>, payload: Uint8Array): Alerts | undefined {
  const wire = wireSchema.safeParse(decodeCbor(payload)).data;
  if (wire === undefined) return undefined;
  const alerts = new Map<PeerId, AlertKind>();
  for (const [key, kind] of wire[1]) {
    const peer = crypto.peerOf(key);
    if (peer !== undefined) alerts.set(peer, KINDS[kind] ?? 'silent');
  }
  return alerts;
}
