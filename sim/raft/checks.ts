// The invariants of a Raft group (Ongaro & Ousterhout 2014, figure 3): one leader a term, matching logs, leaders with all committed entries,
// and the same entry applied at the same index by all.
import type { ReplicatedLog } from '../../consensus/raft/replicated-log.ts';
import type { Entry, NodeId } from '../../consensus/raft/types.ts';
import { toHex } from '../../swarm/dissemination/cbor.ts';

const textOf = ({ term, type, data }: Entry): string => `${term} ${type} ${toHex(data)}`;

export class RaftChecks {
  readonly violations: string[] = [];
  readonly #leaders = new Map<number, NodeId>();
  /** Applied entries of all members, by index, and the term at that time: each was committed in that term, or before. */
  readonly #applied = new Map<number, { text: string; term: number }>();
  /** The entries of all logs, by index and term. */
  readonly #seen = new Map<string, string>();

  /** Terms that had a leader. */
  get terms(): number {
    return this.#leaders.size;
  }

  #violated(text: string): void {
    if (this.violations.length < 20) this.violations.push(text);
  }

  led(id: NodeId, term: number, log: ReplicatedLog): void {
    const known = this.#leaders.get(term);
    if (known !== undefined && known !== id) this.#violated(`term ${term} has two leaders: ${known} and ${id}`);
    this.#leaders.set(term, id);
    const held = new Map(log.entries().map((entry) => [entry.index, textOf(entry)]));
    const first = Math.min(...held.keys());
    // Only entries from before its term: a delayed member may still count the votes of an old election.
    for (const [index, applied] of this.#applied)
      if (applied.term < term && index >= first && held.get(index) !== applied.text)
        this.#violated(`${id} leads term ${term} without the committed entry ${index}`);
  }

  applied(id: NodeId, entry: Entry, term: number): void {
    const text = textOf(entry);
    const known = this.#applied.get(entry.index);
    if (known !== undefined && known.text !== text)
      this.#violated(`${id} applied another entry at ${entry.index} than others: ${text}, not ${known.text}`);
    if (known === undefined) this.#applied.set(entry.index, { text, term });
  }

  /** Two logs with an entry of the same index and term are equal up to it. */
  matching(id: NodeId, log: ReplicatedLog): void {
    let before = '';
    for (const entry of log.entries()) {
      const at = `${entry.index} ${entry.term}`;
      const known = this.#seen.get(at);
      const text = `${before}>${textOf(entry)}`;
      const [own = '', others = ''] = [text, known ?? text].map((one) => one.slice(one.indexOf('>')));
      if (own !== others) this.#violated(`${id} has a different entry ${at} from others: ${own}, not ${others}`);
      const [mine = '', theirs = ''] = [text, known ?? text].map((one) => one.slice(0, one.indexOf('>')));
      // A compacted log does not know the entries before.
      if (mine !== '' && theirs !== '' && mine !== theirs) this.#violated(`${id} has ${mine} before ${at}, others ${theirs}`);
      if (known === undefined || theirs === '') this.#seen.set(at, text);
      before = at;
    }
  }
}
