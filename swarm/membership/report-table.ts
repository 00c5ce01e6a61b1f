// The reports of all observers, by observer and by subject.
import type { PeerId } from '../ports/transport.ts';
import type { AlertKind, Alerts } from './report.ts';

const NO_ALERTS: Alerts = new Map();

/** How many observers have an alert about a member; each figure includes the figures after it. */
export interface Counted {
  /** Alerts in reports, without those that are assumed of observers that are down. */
  explicit: number;
  /** Any alert. */
  alerts: number;
  /** It does not answer now. */
  silent: number;
  /** Its machine refuses connections. */
  refused: number;
}

/** How an observer's report counts: this agent itself, one that is alive, or one that is down. */
export type Voice = 'own' | 'heard' | 'gone';

export class ReportTable {
  readonly #reports = new Map<PeerId, Alerts>();
  readonly #accusers = new Map<PeerId, Set<PeerId>>();

  by(observer: PeerId): Alerts {
    return this.#reports.get(observer) ?? NO_ALERTS;
  }

  /** Undefined if no observer accuses it. */
  accusersOf(peer: PeerId): ReadonlySet<PeerId> | undefined {
    return this.#accusers.get(peer);
  }

  accused(): IterableIterator<PeerId> {
    return this.#accusers.keys();
  }

  kindOf(observer: PeerId, peer: PeerId): AlertKind | undefined {
    return this.#reports.get(observer)?.get(peer);
  }

  /** An observer's newest report replaces its previous one. */
  set(observer: PeerId, alerts: Alerts): void {
    for (const peer of this.by(observer).keys()) {
      const accusers = this.#accusers.get(peer);
      accusers?.delete(observer);
      if (accusers?.size === 0) this.#accusers.delete(peer);
    }
    if (alerts.size === 0) this.#reports.delete(observer);
    else this.#reports.set(observer, alerts);
    for (const peer of alerts.keys()) {
      const accusers = this.#accusers.get(peer);
      if (accusers === undefined) this.#accusers.set(peer, new Set([observer]));
      else accusers.add(observer);
    }
  }

  /** The reports of a peer, and the alerts about it, no longer count. */
  forget(peer: PeerId): void {
    this.set(peer, NO_ALERTS);
    for (const observer of [...(this.#accusers.get(peer) ?? [])]) {
      const left = new Map(this.by(observer));
      left.delete(peer);
      this.set(observer, left);
    }
  }

  /**
   * Counts observers that are alive and credible. With at least two of these, or the only one left, observers that are down count too.
   * @param k how many members each observes, about
   */
  count(peer: PeerId, observersOf: () => Iterable<PeerId>, voiceOf: (observer: PeerId) => Voice, k: number): Counted {
    if (!this.#accusers.has(peer)) return { explicit: 0, alerts: 0, silent: 0, refused: 0 };
    const said = { silent: 0, refused: 0, flapping: 0 };
    let [implicit, speaking] = [0, 0];
    for (const observer of observersOf()) {
      const voice = voiceOf(observer);
      if (voice === 'gone') {
        implicit++;
        continue;
      }
      speaking++;
      const kind = this.kindOf(observer, peer);
      if (kind !== undefined && (voice === 'own' || !this.isDoubted(observer, k))) said[kind]++;
    }
    const enough = Math.max(1, Math.min(2, speaking));
    const withImplicit = (explicit: number): number => (explicit < enough ? explicit : explicit + implicit);
    const silent = said.silent + said.refused;
    return {
      explicit: silent + said.flapping,
      alerts: withImplicit(silent + said.flapping),
      silent: withImplicit(silent),
      refused: withImplicit(said.refused),
    };
  }

  /** An observer that is alone with most of its many accusations is more likely disconnected itself. */
  isDoubted(observer: PeerId, k: number): boolean {
    const alerts = this.by(observer);
    if (alerts.size < 2) return false;
    let alone = 0;
    for (const peer of alerts.keys()) if (this.#accusers.get(peer)?.size === 1) alone++;
    const agreed = alerts.size - alone;
    return alone >= 2 && alone * 2 > Math.min(alerts.size, k - agreed);
  }
}
