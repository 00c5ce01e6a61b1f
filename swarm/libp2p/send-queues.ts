// Queues of one-way messages: one for each peer and protocol, with the long-lived stream that carries them. Messages are best effort: one that
// does not fit, or whose receiver is disconnected or too slow, is dropped.
import type { Stream } from '@libp2p/interface';
import { lpStream } from '@libp2p/utils';
import type { PeerId } from '../ports/transport.ts';

/** Messages that wait for a stream to open or drain; beyond this they are dropped. */
const MAX_QUEUED = 256;
const WRITE_TIMEOUT_MS = 4_000;

interface Queue {
  waiting: Uint8Array[];
  draining: boolean;
  /** One writer a stream: each wrapper of a stream adds listeners to it. */
  open: { stream: Stream; writer: ReturnType<typeof lpStream<Stream>> } | undefined;
}

export class SendQueues {
  readonly #openStream: (peer: PeerId, protocol: string) => Promise<Stream>;
  readonly #queues = new Map<PeerId, Map<string, Queue>>();

  /** @param openStream opens a stream to a connected peer; fails if it is not connected */
  constructor(openStream: (peer: PeerId, protocol: string) => Promise<Stream>) {
    this.#openStream = openStream;
  }

  send(peer: PeerId, protocol: string, bytes: Uint8Array): void {
    const queues = this.#queues.get(peer) ?? new Map<string, Queue>();
    this.#queues.set(peer, queues);
    const queue = queues.get(protocol) ?? { waiting: [], draining: false, open: undefined };
    queues.set(protocol, queue);
    if (queue.waiting.length >= MAX_QUEUED) return;
    queue.waiting.push(bytes);
    if (!queue.draining) void this.#drain(peer, protocol, queue);
  }

  async #drain(peer: PeerId, protocol: string, queue: Queue): Promise<void> {
    queue.draining = true;
    try {
      if (queue.open?.stream.status !== 'open') {
        const stream = await this.#openStream(peer, protocol);
        queue.open = { stream, writer: lpStream(stream) };
      }
      for (let bytes = queue.waiting.shift(); bytes !== undefined; bytes = queue.waiting.shift()) {
        await queue.open.writer.write(bytes, { signal: AbortSignal.timeout(WRITE_TIMEOUT_MS) });
      }
      queue.draining = false;
    } catch (error) {
      queue.open?.stream.abort(error as Error);
      const queues = this.#queues.get(peer);
      if (queues?.get(protocol) === queue) queues.delete(protocol);
      if (queues?.size === 0) this.#queues.delete(peer);
    }
  }

  /** The peer is no longer connected. */
  forget(peer: PeerId): void {
    this.#queues.delete(peer);
  }
}
