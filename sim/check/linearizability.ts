// Whether a history of concurrent operations could have happened one at a time, each between its call and its return: the search of Wing and
// Gong with Lowe's cache of tried states, on each independent part of the history (Horn and Kroening), such as each key.

export interface Operation<Input, Output> {
  input: Input;
  /** undefined: the result is unknown; it may take effect at any time after its call, or never. */
  output: Output | undefined;
  /** Any common measure of time; if one operation returns when another is called, it was before that. */
  called: number;
  returned: number;
}

/** The sequential behaviour of one object. States are compared by identity. */
export interface Model<State, Input, Output> {
  initial: State;
  /** @returns the next state; undefined if such an output is impossible */
  step(state: State, input: Input, output: Output | undefined): State | undefined;
  /** The object of an operation: operations on different objects are independent. */
  partOf(input: Input): string;
}

export type Linearizability<Input, Output> =
  | { ok: true }
  /** `part` is not linearizable; `longest` is the longest valid order. */
  | { ok: false; part: string; longest: Operation<Input, Output>[] }
  | { ok: 'unknown'; part: string };

/** @param givesUp called periodically: whether to stop without an answer */
export function linearizability<State, Input, Output>(
  model: Model<State, Input, Output>,
  history: readonly Operation<Input, Output>[],
  givesUp: () => boolean = () => false,
): Linearizability<Input, Output> {
  const parts = new Map<string, Operation<Input, Output>[]>();
  for (const operation of history) {
    const part = model.partOf(operation.input);
    const operations = parts.get(part) ?? [];
    parts.set(part, operations);
    operations.push(operation);
  }
  // Alternately: one part that is not linearizable is enough, however long the others would take.
  const searches = new Map([...parts].map(([part, operations]) => [part, new Search(model, operations)]));
  while (searches.size > 0) {
    for (const [part, search] of searches) {
      const found = search.run(TURNS);
      if (found === true) searches.delete(part);
      else if (found !== undefined) return { ok: false, part, longest: found };
    }
    const [open] = searches.keys();
    if (open !== undefined && givesUp()) return { ok: 'unknown', part: open };
  }
  return { ok: true };
}

/** A call or a return, in a linked list from which placed operations are removed. */
interface Event {
  id: number;
  /** The return of a call. */
  match: Event | undefined;
  previous: Event | undefined;
  next: Event | undefined;
}

/** The list's head, before the first event. */
function eventsOf(operations: readonly Operation<unknown, unknown>[]): Event {
  const events = operations.flatMap(({ called, returned, output }, id) => [
    { id, at: called, isCall: true },
    { id, at: output === undefined ? Number.POSITIVE_INFINITY : returned, isCall: false },
  ]);
  // At equal times returns come last: operations that only touch may be in either order.
  events.sort((a, b) => (a.at === b.at ? Number(b.isCall) - Number(a.isCall) : a.at < b.at ? -1 : 1));
  const head: Event = { id: -1, match: undefined, previous: undefined, next: undefined };
  const calls = new Map<number, Event>();
  let last = head;
  for (const { id, isCall } of events) {
    const event: Event = { id, match: undefined, previous: last, next: undefined };
    last.next = event;
    last = event;
    const call = calls.get(id);
    if (isCall) calls.set(id, event);
    else if (call !== undefined) call.match = event;
  }
  return head;
}

function lift(call: Event): void {
  for (const event of [call, call.match]) {
    if (event?.previous) event.previous.next = event.next;
    if (event?.next) event.next.previous = event.previous;
  }
}

function unlift(call: Event): void {
  for (const event of [call.match, call]) {
    if (event?.previous) event.previous.next = event;
    if (event?.next) event.next.previous = event;
  }
}

const TURNS = 10_000;

/** The search for an order of one part. */
class Search<State, Input, Output> {
  readonly #model: Model<State, Input, Output>;
  readonly #operations: readonly Operation<Input, Output>[];
  readonly #head: Event;
  readonly #placed: Placed;
  readonly #tried = new Tried<State>();
  readonly #order: { call: Event; before: State }[] = [];
  #longest: number[] = [];
  #state: State;
  #entry: Event | undefined;

  constructor(model: Model<State, Input, Output>, operations: readonly Operation<Input, Output>[]) {
    this.#model = model;
    this.#operations = operations;
    this.#head = eventsOf(operations);
    this.#placed = new Placed(operations.length);
    this.#state = model.initial;
    this.#entry = this.#head.next;
  }

  /** @returns true, or the longest order that was found if there is no complete one; undefined: not known yet */
  run(turns: number): true | Operation<Input, Output>[] | undefined {
    for (let turn = 0; turn < turns; turn++) {
      if (this.#head.next === undefined) return true;
      const entry = this.#entry;
      if (entry?.match !== undefined) this.#entry = this.#place(entry) ? this.#head.next : entry.next;
      else if (!this.#takeBack()) return this.#longest.map((id) => this.#operations[id] as Operation<Input, Output>);
    }
    return undefined;
  }

  /** Places an operation next. @returns whether that is possible and was not tried before */
  #place(call: Event): boolean {
    const { input, output } = this.#operations[call.id] as Operation<Input, Output>;
    const next = this.#model.step(this.#state, input, output);
    if (next === undefined) return false;
    this.#placed.flip(call.id);
    if (!this.#tried.add(this.#placed, next)) {
      this.#placed.flip(call.id);
      return false;
    }
    this.#order.push({ call, before: this.#state });
    this.#state = next;
    lift(call);
    return true;
  }

  /** An operation returns before it is placed: the order so far is wrong. @returns whether there is another to try */
  #takeBack(): boolean {
    if (this.#order.length > this.#longest.length) this.#longest = this.#order.map(({ call }) => call.id);
    const last = this.#order.pop();
    if (last === undefined) return false;
    this.#state = last.before;
    this.#placed.flip(last.call.id);
    unlift(last.call);
    this.#entry = last.call.next;
    return true;
  }
}

/** The set of placed operations, with an incremental hash. */
class Placed {
  readonly bits: Uint32Array;
  hash = 0;

  constructor(count: number) {
    this.bits = new Uint32Array(Math.ceil(count / 32));
  }

  flip(id: number): void {
    const word = id >>> 5;
    this.bits[word] = (this.bits[word] ?? 0) ^ (1 << (id & 31));
    this.hash ^= mixed(id);
  }
}

/** A well-mixed number for each (the finaliser of MurmurHash3): they are combined by XOR. */
function mixed(id: number): number {
  let hash = (id + 1) * 0x9e3779b1;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** Pairs of placed operations and state that were tried: a second time they lead nowhere new. */
class Tried<State> {
  readonly #known = new Map<number, { bits: Uint32Array; state: number }[]>();
  readonly #states = new Map<State, number>();

  /** @returns whether it is new */
  add({ bits, hash }: Placed, of: State): boolean {
    const state = this.#states.get(of) ?? this.#states.size;
    if (state === this.#states.size) this.#states.set(of, state);
    const key = hash ^ mixed(-2 - state);
    const same = this.#known.get(key);
    if (same === undefined) {
      this.#known.set(key, [{ bits: bits.slice(), state }]);
      return true;
    }
    if (same.some((one) => one.state === state && one.bits.every((word, i) => word === bits[i]))) return false;
    same.push({ bits: bits.slice(), state });
    return true;
  }
}

export type RegisterInput =
  | { kind: 'read'; key: string }
  | { kind: 'write'; key: string; value: string }
  | { kind: 'append'; key: string; value: string }
  | { kind: 'cas'; key: string; from: string; to: string };
/** The value read; whether a compare-and-set succeeded. The output of a write is empty. */
export type RegisterOutput = string | boolean | null;

/** The value of a register. Appends share objects: the same text is the same object, so that no texts are compared. */
class Content {
  readonly text: string | null;
  readonly #longer = new Map<string, Content>();

  constructor(text: string | null) {
    this.text = text;
  }

  append(value: string): Content {
    const known = this.#longer.get(value) ?? new Content(`${this.text ?? ''}${value}`);
    this.#longer.set(value, known);
    return known;
  }
}

/** Registers by key, `initial` at first. */
export function registers(initial: string | null): Model<Content, RegisterInput, RegisterOutput> {
  const written = new Map<string | null, Content>();
  const content = (text: string | null): Content => {
    const known = written.get(text) ?? new Content(text);
    written.set(text, known);
    return known;
  };
  return {
    initial: content(initial),
    partOf: ({ key }) => key,
    step: (state, input, output) => {
      switch (input.kind) {
        case 'read':
          return output === undefined || output === state.text ? state : undefined;
        case 'write':
          return content(input.value);
        case 'append':
          return state.append(input.value);
        case 'cas': {
          const isSame = state.text === input.from;
          if (output !== undefined && output !== isSame) return undefined;
          return isSame ? content(input.to) : state;
        }
      }
    },
  };
}
