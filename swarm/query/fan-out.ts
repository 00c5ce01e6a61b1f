// Asks many peers the same thing and comes back as soon as all have answered, or the deadline has passed:
// with what came, and for everyone who is missing, why.
import type { Clock } from '../ports/clock.ts';
import { type PeerId, type Transport, TransportError } from '../ports/transport.ts';

/** Peers asked at the same time. */
const MAX_PARALLEL = 64;

export interface FanOutAnswer {
  answered: { peer: PeerId; body: Uint8Array; tookMs: number }[];
  missing: { peer: PeerId; reason: string }[];
}

export async function fanOut(
  transport: Pick<Transport, 'request'>,
  clock: Clock,
  peers: readonly PeerId[],
  protocol: string,
  body: Uint8Array,
  timeoutMs: number,
): Promise<FanOutAnswer> {
  const answer: FanOutAnswer = { answered: [], missing: [] };
  const startMs = clock.monotonicMs();
  const waiting = [...peers];
  const worker = async (): Promise<void> => {
    for (let peer = waiting.shift(); peer !== undefined; peer = waiting.shift()) {
      const leftMs = timeoutMs - (clock.monotonicMs() - startMs);
      try {
        if (leftMs <= 0) throw new TransportError('timeout', 'not asked before the deadline');
        const reply = await transport.request(peer, protocol, body, leftMs);
        answer.answered.push({ peer, body: reply, tookMs: clock.monotonicMs() - startMs });
      } catch (error) {
        if (!(error instanceof TransportError)) throw error;
        answer.missing.push({ peer, reason: error.code });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(MAX_PARALLEL, waiting.length) }, worker));
  return answer;
}
