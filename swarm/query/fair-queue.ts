// A queue that serves its users in turn, one request each, however many requests one of them has queued.

export class FairQueue<Item> {
  /** Users, the next one first. */
  readonly #byAsker = new Map<string, Item[]>();
  readonly #each: number;
  readonly #askers: number;

  /** @param each the most requests of one user. @param askers the most users. */
  constructor(each: number, askers: number) {
    this.#each = each;
    this.#askers = askers;
  }

  get isEmpty(): boolean {
    return this.#byAsker.size === 0;
  }

  /** @returns whether there was room. */
  add(asker: string, item: Item): boolean {
    const own = this.#byAsker.get(asker) ?? [];
    if (own.length >= this.#each || (own.length === 0 && this.#byAsker.size >= this.#askers)) return false;
    this.#byAsker.set(asker, [...own, item]);
    return true;
  }

  /** Puts a user's request back at the front of its own queue. */
  back(asker: string, item: Item): void {
    this.#byAsker.set(asker, [item, ...(this.#byAsker.get(asker) ?? [])]);
  }

  next(): Item | undefined {
    const [first] = this.#byAsker;
    if (first === undefined) return undefined;
    const [asker, [item, ...others]] = first;
    this.#byAsker.delete(asker);
    if (others.length > 0) this.#byAsker.set(asker, others);
    return item;
  }

  drop(asker: string, item: Item): void {
    const left = this.#byAsker.get(asker)?.filter((other) => other !== item) ?? [];
    if (left.length === 0) this.#byAsker.delete(asker);
    else this.#byAsker.set(asker, left);
  }
}
