// Yamux with three changes: traffic is counted by protocol, streams and bytes of the other side have limits, and the receive window is
// renewed when half of it is used, as the specification says, and not after every message, which would cost a packet each.
import type { MessageStream, Stream, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface';
import type { Traffic } from '../ports/transport.ts';
import { Budget, type BudgetKind } from './budgets.ts';
import { remotePeers } from './greeting.ts';

/** Bytes before the protocol of a stream is negotiated. */
const NEGOTIATION = 'negotiation';

/** The method of libp2p's muxers for a stream that the other side opened. */
interface AcceptsStreams {
  onRemoteStream(stream: Stream): void;
  maxEarlyStreams: number;
}

/** `StreamState.Established` of @chainsafe/libp2p-yamux, which does not export it. */
const ESTABLISHED = 3;

/** Streams opened before this side is ready: a newly admitted peer opens one of each protocol immediately. */
const MAX_EARLY_STREAMS = 64;

/** The method that gets the data of a stream. */
interface TakesData {
  onData(data: { byteLength: number }): void;
}

/** A yamux stream's flow control. */
interface Windowed {
  state?: number;
  recvWindow?: number;
  recvWindowCapacity?: number;
  sendWindowUpdate?(): void;
}

function renewAtHalf(stream: Windowed): void {
  const update = stream.sendWindowUpdate?.bind(stream);
  if (update === undefined) return;
  stream.sendWindowUpdate = () => {
    const { state, recvWindow = 0, recvWindowCapacity = 0 } = stream;
    // Before it is established an update carries the flags that open the stream.
    if (state !== ESTABLISHED || recvWindowCapacity < recvWindow / 2) update();
  };
}

export class Meter {
  readonly #sent = new Map<string, Traffic>();
  /** Called for a peer whose connection is closed because it exceeded a limit. */
  onFlood: (peer: string, kind: BudgetKind) => void = () => undefined;

  /** Copies; by protocol. */
  read(): Map<string, Traffic> {
    return new Map([...this.#sent].map(([protocol, traffic]) => [protocol, { ...traffic }]));
  }

  #count(protocol: string, bytes: number): void {
    const known = this.#sent.get(protocol);
    if (known === undefined) this.#sent.set(protocol, { bytes, writes: 1 });
    else {
      known.bytes += bytes;
      known.writes++;
    }
  }

  /** The same muxer, with its streams counted. */
  around<Components>(make: (components: Components) => StreamMuxerFactory): (components: Components) => StreamMuxerFactory {
    return (components) => {
      const inner = make(components);
      const createStreamMuxer: StreamMuxerFactory['createStreamMuxer'] = (connection) =>
        this.#watch(inner.createStreamMuxer(connection), connection);
      return { protocol: inner.protocol, createStreamMuxer };
    };
  }

  #watch(muxer: StreamMuxer, connection: MessageStream): StreamMuxer {
    const create = muxer.createStream.bind(muxer);
    muxer.createStream = async (options) => this.#counted(await create(options));
    // Not by a listener: early streams wait for the first listener, which must be the connection's.
    const accepts = muxer as StreamMuxer & AcceptsStreams;
    const accept = accepts.onRemoteStream.bind(muxer);
    const nowMs = (): number => performance.now();
    accepts.maxEarlyStreams = MAX_EARLY_STREAMS;
    // A connection without its muxer is useless, but would look usable.
    const abort = muxer.abort.bind(muxer);
    muxer.abort = (error) => {
      abort(error);
      connection.abort(error);
    };
    const [streams, bytes] = [new Budget('streams', nowMs()), new Budget('bytes', nowMs())];
    const flooded = (kind: BudgetKind): void => {
      this.onFlood(remotePeers.get(connection)?.toString() ?? '', kind);
      connection.abort(new Error(`too many ${kind}`));
    };
    accepts.onRemoteStream = (stream) => {
      if (!streams.spend(1, nowMs())) return flooded('streams');
      const takes = stream as Stream & TakesData;
      const take = takes.onData.bind(stream);
      takes.onData = (data) => (bytes.spend(data.byteLength, nowMs()) ? take(data) : flooded('bytes'));
      accept(this.#counted(stream));
    };
    return muxer;
  }

  #counted(stream: Stream): Stream {
    renewAtHalf(stream as Stream & Windowed);
    const send = stream.send.bind(stream);
    stream.send = (data) => {
      this.#count(stream.protocol === '' || stream.protocol === undefined ? NEGOTIATION : stream.protocol, data.byteLength);
      return send(data);
    };
    return stream;
  }
}
