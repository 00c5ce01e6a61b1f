// How an agent comes by its certificate and keeps it: joins with a token, renews in time, and lets go of peers whose own have ended.
import { type Admission, JoinRefused } from '../../swarm/identity/admission.ts';
import { issuerAt, type JoinToken } from '../../swarm/identity/token.ts';
import type { Timer } from '../../swarm/ports/clock.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Ports } from '../ports/ports.ts';

const LOOK_EVERY_MS = 60_000;
const RENEW_TIMEOUT_MS = 5_000;
/** A newcomer tries for so long, and at least so often: on a busy machine a try takes long. */
const JOIN_PATIENCE_MS = 15_000;
const MIN_JOIN_TRIES = 5;
const JOIN_AGAIN_MS = 1_000;
const MAX_FOUND = 8;

export interface CertificateEvents {
  /** Now and then: what else is to be done as time goes by. */
  looking(): void;
  dial(peer: PeerId): Promise<void>;
  /** Who let this agent in, and where that was. */
  letIn(by: PeerId, address: string): void;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export class Certificates {
  readonly #ports: Pick<Ports, 'transport' | 'clock'>;
  readonly #admission: Admission;
  readonly #renewProtocol: string;
  readonly #events: CertificateEvents;
  /** Where the local network says that the token's issuer is. */
  readonly #found = new Set<string>();
  #issuer: PeerId | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(ports: Pick<Ports, 'transport' | 'clock'>, admission: Admission, renewProtocol: string, events: CertificateEvents) {
    this.#ports = ports;
    this.#admission = admission;
    this.#renewProtocol = renewProtocol;
    this.#events = events;
  }

  /** Brings the token to whoever made it. @throws JoinRefused */
  async join(token: JoinToken | undefined): Promise<void> {
    const { clock, transport } = this.#ports;
    if (token === undefined) throw new JoinRefused('this agent is no member of the swarm, and has no token to join it with');
    this.#issuer = token.issuer;
    const untilMs = clock.monotonicMs() + JOIN_PATIENCE_MS;
    const reasons = new Map<string, string>();
    for (let tries = 1; ; tries++) {
      for (const address of [...token.addresses, ...this.#found]) {
        const issuer = issuerAt(token, address);
        const where = address.replace(/\/p2p\/[^/]+$/, '');
        try {
          await transport.dial(`${where}/p2p/${issuer}`);
        } catch (error) {
          reasons.set(address, (error as Error).message);
        }
        if (this.#admission.isMember) return this.#events.letIn(issuer, where);
        const refusal = this.#admission.lastRefusal;
        if (refusal?.by === token.issuer) throw new JoinRefused(refusal.text);
        // Another issuer may not know the token yet, or not that who made it is gone.
        if (refusal?.by === issuer) reasons.set(address, refusal.text);
      }
      if (clock.monotonicMs() >= untilMs && tries >= MIN_JOIN_TRIES) break;
      if (this.#found.size === 0) transport.lookAround(); // its addresses may have changed since the token was made
      await new Promise<void>((resolve) => clock.after(JOIN_AGAIN_MS, resolve));
    }
    const tried = [...reasons].map(([address, reason]) => `${address}: ${reason}`).join('; ');
    throw new JoinRefused(`the issuer of the token cannot be reached: ${tried}`);
  }

  /** Somebody is said to be there, while this agent joins. */
  found(peer: PeerId, address: string): void {
    if (peer === this.#issuer && this.#found.size < MAX_FOUND) this.#found.add(address);
  }

  /** Looks again and again. */
  watch(): void {
    if (!this.#stopped) this.#timer = this.#ports.clock.after(LOOK_EVERY_MS, () => void this.#look());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const { transport } = this.#ports;
    try {
      this.#events.looking();
      await this.#admission.issuer.renewOwn();
      if (this.#admission.issuer.renewalDue(transport.self)) await this.#askForRenewal();
      await this.#admission.store.reap();
    } catch (error) {
      this.#events.failed(error);
    }
    if (this.#stopped) return;
    for (const peer of transport.connectedPeers()) if (!this.#admission.honours(peer)) transport.disconnect(peer);
    this.watch();
  }

  async #askForRenewal(): Promise<void> {
    const { roster } = this.#admission;
    const { transport, clock } = this.#ports;
    const issuers = roster
      .issuers()
      .filter(({ subject }) => subject !== transport.self && roster.isIssuer(subject, clock.wallMs()));
    for (const { subject } of issuers) {
      try {
        await this.#events.dial(subject);
        const answer = await transport.request(subject, this.#renewProtocol, new Uint8Array(), RENEW_TIMEOUT_MS);
        await this.#admission.renewed(answer);
        if (!this.#admission.issuer.renewalDue(transport.self)) return;
      } catch {
        // the next one, or this one in a minute
      }
    }
    const untilMs = roster.member(transport.self)?.untilMs ?? 0;
    this.#events.log(
      'warn',
      `no issuer renews this agent’s certificate, which ends ${new Date(untilMs).toISOString()}; see kalos members promote`,
    );
  }
}
