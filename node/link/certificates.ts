// How an agent gets its certificate and keeps it: it joins with a token, and renews in time. Peers whose certificates expired are
// disconnected.
import { type Admission, JoinRefused } from '../../swarm/identity/admission.ts';
import { issuerAt, type JoinToken } from '../../swarm/identity/token.ts';
import type { Timer } from '../../swarm/ports/clock.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Ports } from '../ports/ports.ts';

const LOOK_EVERY_MS = 60_000;
const RENEW_TIMEOUT_MS = 5_000;
/** A new agent tries for this long, and at least this many times: on a busy machine an attempt takes long. */
const JOIN_PATIENCE_MS = 15_000;
const MIN_JOIN_TRIES = 5;
const JOIN_AGAIN_MS = 1_000;
const MAX_FOUND = 8;

export interface CertificateEvents {
  /** Each minute: other periodic work. */
  looking(): void;
  dial(peer: PeerId): Promise<void>;
  /** Which member admitted this agent, and at which address. */
  admitted(by: PeerId, address: string): void;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export class Certificates {
  readonly #ports: Pick<Ports, 'transport' | 'clock'>;
  readonly #admission: Admission;
  readonly #renewProtocol: string;
  readonly #events: CertificateEvents;
  /** Addresses of the token's issuer, as found on the local network. */
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

  /** Presents the token to the issuer that created it. @throws JoinRefused */
  async join(token: JoinToken | undefined): Promise<void> {
    const { clock, transport } = this.#ports;
    if (token === undefined) throw new JoinRefused('this agent is not a member and has no join token: use kalos up --join TOKEN');
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
        if (this.#admission.isMember) return this.#events.admitted(issuer, where);
        const refusal = this.#admission.lastRefusal;
        if (refusal?.by === token.issuer) throw new JoinRefused(refusal.text);
        // Another issuer may not know the token yet, or not yet consider the token's issuer down.
        if (refusal?.by === issuer) reasons.set(address, refusal.text);
      }
      if (clock.monotonicMs() >= untilMs && tries >= MIN_JOIN_TRIES) break;
      if (this.#found.size === 0) transport.lookAround(); // its addresses may have changed since the token was created
      await new Promise<void>((resolve) => clock.after(JOIN_AGAIN_MS, resolve));
    }
    const tried = [...reasons].map(([address, reason]) => `${address}: ${reason}`).join('; ');
    throw new JoinRefused(`the issuer of the token cannot be reached: ${tried}`);
  }

  /** The local network has a peer at this address; used while this agent joins. */
  found(peer: PeerId, address: string): void {
    if (peer === this.#issuer && this.#found.size < MAX_FOUND) this.#found.add(address);
  }

  /** Checks each minute. */
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
        // the next issuer, or this one again in a minute
      }
    }
    const untilMs = roster.member(transport.self)?.untilMs ?? 0;
    this.#events.log(
      'warn',
      `no issuer can renew this agent’s certificate (expires ${new Date(untilMs).toISOString()}); see kalos members promote`,
    );
  }
}
