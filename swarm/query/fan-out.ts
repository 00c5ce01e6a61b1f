// Sends one request to many peers, and returns once all have answered or the deadline has passed: with the answers, and for each missing
// peer the reason.
import type { Clock } from '../ports/clock.ts';
import { type PeerId, type Transport, TransportError } from '../ports/transport.ts';

/** Peers asked at the same time. */
const MAX_PARALLEL = 64;
const MAX_REASON_LENGTH = 300;

export type Missing = { peer: PeerId; reason: string }[];

export interface FanOutOptions {
  timeoutMs: number;
  /** The limit of all answers together; when it is used up, no other peer is asked. */
  maxBytes: number;
  /** The user, for a fair share of the requests to a member. */
  asker?: string;
  /** Each answer, as it comes. */
  take(peer: PeerId, body: Uint8Array, tookMs: number): void;
}

/** The reason for a refusal comes from the member, and may contain anything. */
function reasonOf({ code, message }: TransportError): string {
  return code === 'refused' && message !== '' ? message.slice(0, MAX_REASON_LENGTH).replace(/\p{C}/gu, ' ') : code;
}

export async function fanOut(
  transport: Pick<Transport, 'request'>,
  clock: Clock,
  peers: readonly PeerId[],
  protocol: string,
  body: Uint8Array,
  { timeoutMs, maxBytes, take }: FanOutOptions,
): Promise<Missing> {
  const missing: Missing = [];
  const startMs = clock.monotonicMs();
  const waiting = [...peers];
  let leftBytes = maxBytes;
  const worker = async (): Promise<void> => {
    for (let peer = waiting.shift(); peer !== undefined; peer = waiting.shift()) {
      const leftMs = timeoutMs - (clock.monotonicMs() - startMs);
      if (leftBytes <= 0) {
        missing.push({ peer, reason: 'not asked: the answer size limit is used up' });
        continue;
      }
      try {
        if (leftMs <= 0) throw new TransportError('timeout', 'not asked before the deadline');
        const reply = await transport.request(peer, protocol, body, leftMs);
        leftBytes -= reply.length;
        take(peer, reply, clock.monotonicMs() - startMs);
      } catch (error) {
        if (!(error instanceof TransportError)) throw error;
        missing.push({ peer, reason: reasonOf(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(MAX_PARALLEL, waiting.length) }, worker));
  return missing;
}
