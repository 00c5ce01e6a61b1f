// The certificate that a server presents to its clients, which may differ from the file: a server may still use the one that it read at
// its start. The server is asked once a minute, and at every check after the file has changed or while the answer is not good.
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { Sensors } from '../ports/sensors.ts';

/** An X.509 certificate in PEM. */
export interface DeclaredCertificate {
  path: string;
  renewDays: number;
  /** A task that renews it; undefined if a person does. */
  renew: string | undefined;
  reload: string | undefined;
  /** The server that presents it; undefined if unknown. */
  servedAt: { host: string; port: number } | undefined;
}

const WITHIN_MS = 1_000;
/** Checks between two handshakes while all is well: a minute. */
const EVERY_LOOKS = 30;

interface ServedPorts {
  crypto: Pick<Crypto, 'hash' | 'certificateEndMs' | 'certificateNames'>;
  sensors: Pick<Sensors, 'servedCertificate'>;
}

export class ServedCertificate {
  readonly #declared: DeclaredCertificate;
  readonly #ports: ServedPorts;
  #file = '';
  #looksLeft = 0;
  #endMs: number | undefined;

  constructor(declared: DeclaredCertificate, ports: ServedPorts) {
    this.#declared = declared;
    this.#ports = ports;
  }

  /** Expiry of the presented certificate, wall clock; undefined if no certificate for these names is presented. @param minMs the expiry from which it is good */
  async endMs(file: Uint8Array, minMs: number): Promise<number | undefined> {
    const { servedAt } = this.#declared;
    if (servedAt === undefined) return undefined;
    const { crypto } = this.#ports;
    const digest = crypto.hash(file).join();
    const isGood = this.#endMs === undefined || this.#endMs >= minMs;
    if (digest === this.#file && isGood && this.#looksLeft-- > 0) return this.#endMs;
    this.#file = digest;
    this.#looksLeft = EVERY_LOOKS;
    this.#endMs = await this.#ask(crypto.certificateNames(file), servedAt);
    return this.#endMs;
  }

  async #ask(names: readonly string[], { host, port }: { host: string; port: number }): Promise<number | undefined> {
    const { crypto, sensors } = this.#ports;
    const served = await sensors.servedCertificate(host, port, names[0]?.replace(/^\*\./, 'www.'), WITHIN_MS);
    // Other servers may share the address; their certificates are not the declared one.
    const isIt = served !== undefined && crypto.certificateNames(served).some((name) => names.includes(name));
    return isIt ? crypto.certificateEndMs(served) : undefined;
  }
}
