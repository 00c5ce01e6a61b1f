// Splits messages that are too large for the transport, such as snapshots, into frames, and reassembles them in order. If a frame is lost, so is
// the message; Raft sends it again.

/** The largest frame, with its header. */
export const MAX_FRAME_BYTES = 48_000;
const HEADER_BYTES = 12;
/** The largest message, such as a snapshot. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** @param id separates the frames of different messages of one sender. */
export function* framesOf(bytes: Uint8Array, id: number): Generator<Uint8Array> {
  const each = MAX_FRAME_BYTES - HEADER_BYTES;
  const count = Math.max(1, Math.ceil(bytes.length / each));
  for (let part = 0; part < count; part++) {
    const body = bytes.subarray(part * each, (part + 1) * each);
    const frame = new Uint8Array(HEADER_BYTES + body.length);
    const view = new DataView(frame.buffer);
    for (const [at, value] of [id, part, count].entries()) view.setUint32(4 * at, value);
    frame.set(body, HEADER_BYTES);
    yield frame;
  }
}

/** The frames of one sender so far: one message at a time. */
export class Assembly {
  #id = -1;
  #parts: Uint8Array[] = [];

  /** @returns the message that the frame completes */
  take(frame: Uint8Array): Uint8Array | undefined {
    if (frame.length < HEADER_BYTES) return undefined;
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    const [id, part, count] = [view.getUint32(0), view.getUint32(4), view.getUint32(8)];
    const body = frame.subarray(HEADER_BYTES);
    if (count === 1) return part === 0 ? body : undefined;
    if (count === 0 || count * MAX_FRAME_BYTES > MAX_MESSAGE_BYTES) return undefined;
    if (part === 0) [this.#id, this.#parts] = [id, []];
    // Frames arrive in order; a gap means that one was lost.
    if (id !== this.#id || part !== this.#parts.length) return undefined;
    this.#parts.push(body);
    if (this.#parts.length < count) return undefined;
    const whole = new Uint8Array(this.#parts.reduce((sum, one) => sum + one.length, 0));
    let at = 0;
    for (const one of this.#parts) {
      whole.set(one, at);
      at += one.length;
    }
    [this.#id, this.#parts] = [-1, []];
    return whole;
  }
}

/** The frames of one member's messages, in both directions. */
export class Framing {
  readonly #assemblies = new Map<number | string, Assembly>();
  #sent = 0;

  framesOf(bytes: Uint8Array): Generator<Uint8Array> {
    return framesOf(bytes, this.#sent++ >>> 0);
  }

  /** @returns the message of this sender that the frame completes */
  take(sender: number | string, frame: Uint8Array): Uint8Array | undefined {
    const assembly = this.#assemblies.get(sender) ?? new Assembly();
    this.#assemblies.set(sender, assembly);
    return assembly.take(frame);
  }
}

/** Whether the message of a frame has several frames. */
export function isPart(frame: Uint8Array): boolean {
  return new DataView(frame.buffer, frame.byteOffset, frame.byteLength).getUint32(8) > 1;
}

/** The largest batch that a transport accepts. */
const MAX_PACKED_BYTES = 60_000;
const LENGTH_BYTES = 4;

/** Takes as many frames off the front as fit into one batch, each after its length; undefined if there are none. */
export function packed(frames: Uint8Array[]): Uint8Array | undefined {
  let [count, size] = [0, 0];
  for (const { length } of frames) {
    if (count > 0 && size + LENGTH_BYTES + length > MAX_PACKED_BYTES) break;
    count++;
    size += LENGTH_BYTES + length;
  }
  if (count === 0) return undefined;
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  let at = 0;
  for (const frame of frames.splice(0, count)) {
    view.setUint32(at, frame.length);
    out.set(frame, at + LENGTH_BYTES);
    at += LENGTH_BYTES + frame.length;
  }
  return out;
}

/** The frames of a batch, without a truncated last one. */
export function* unpacked(bytes: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + LENGTH_BYTES <= bytes.length; ) {
    const from = at + LENGTH_BYTES;
    at = from + view.getUint32(at);
    if (at <= bytes.length) yield bytes.subarray(from, at);
  }
}
