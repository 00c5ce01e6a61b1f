// The records of a roster: the newest of each kind and subject. A revocation ends all certificates of its subject up to its epoch. A
// certificate that is not revoked is in force, even if it has expired.
import type { PeerId } from '../ports/transport.ts';
import {
  type CertifiedKind,
  type IssuerCertificate,
  isSingle,
  type MemberCertificate,
  type OperatorCertificate,
  type Revocation,
  type SignedRecord,
  type SingleBody,
} from './record.ts';

interface Certificates {
  issuer: IssuerCertificate;
  member: MemberCertificate;
  operator: OperatorCertificate;
}
type Single<Kind> = Extract<SingleBody, { kind: Kind }>;
/** One newest record of each subject. */
type Shelf = Map<PeerId, SignedRecord>;
const shelves = (): Record<CertifiedKind, Shelf> => ({ issuer: new Map(), member: new Map(), operator: new Map() });

export class RecordSet {
  readonly #certificates = shelves();
  readonly #revocations = shelves();
  readonly #singles = new Map<SingleBody['kind'], SignedRecord>();
  /** Increases with every change. */
  version = 0;

  all(): SignedRecord[] {
    const shelves = [...Object.values(this.#certificates), ...Object.values(this.#revocations)];
    return [...shelves.flatMap((shelf) => [...shelf.values()]), ...this.#singles.values()];
  }

  #shelfOf(body: Exclude<SignedRecord['body'], SingleBody>): Shelf {
    return body.kind === 'revocation' ? this.#revocations[body.of] : this.#certificates[body.kind];
  }

  /** The record that another one would replace. */
  heldFor({ body }: SignedRecord): SignedRecord | undefined {
    return isSingle(body) ? this.#singles.get(body.kind) : this.#shelfOf(body).get(body.subject);
  }

  put(record: SignedRecord): void {
    const { body } = record;
    if (isSingle(body)) this.#singles.set(body.kind, record);
    else this.#shelfOf(body).set(body.subject, record);
    this.version++;
  }

  delete({ body }: SignedRecord): void {
    if (isSingle(body)) this.#singles.delete(body.kind);
    else this.#shelfOf(body).delete(body.subject);
    this.version++;
  }

  /** Of these kinds a swarm has one record at a time: the newest change of the network key, and the newest recovery of the committee. */
  single<Kind extends SingleBody['kind']>(kind: Kind): Single<Kind> | undefined {
    return this.#singles.get(kind)?.body as Single<Kind> | undefined;
  }

  /** The signed certificate of a peer of that kind. */
  signed(kind: CertifiedKind, peer: PeerId): SignedRecord | undefined {
    return this.#certificates[kind].get(peer);
  }

  certificate<Kind extends CertifiedKind>(kind: Kind, peer: PeerId): Certificates[Kind] | undefined {
    return this.signed(kind, peer)?.body as Certificates[Kind] | undefined;
  }

  revocation(of: CertifiedKind, peer: PeerId): Revocation | undefined {
    return this.#revocations[of].get(peer)?.body as Revocation | undefined;
  }

  isRevoked(of: CertifiedKind, peer: PeerId, epoch: number): boolean {
    const revocation = this.revocation(of, peer);
    return revocation !== undefined && revocation.epoch >= epoch;
  }

  isInForce(kind: CertifiedKind, peer: PeerId): boolean {
    const certificate = this.certificate(kind, peer);
    return certificate !== undefined && !this.isRevoked(kind, peer, certificate.epoch);
  }

  inForce<Kind extends CertifiedKind>(kind: Kind): Certificates[Kind][] {
    return [...this.#certificates[kind].values()]
      .map(({ body }) => body as Certificates[Kind])
      .filter(({ subject, epoch }) => !this.isRevoked(kind, subject, epoch));
  }

  /** The epoch that a new certificate of a peer must have. */
  nextEpoch(of: CertifiedKind, peer: PeerId): number {
    const revoked = this.revocation(of, peer)?.epoch;
    return Math.max(revoked === undefined ? 0 : revoked + 1, this.certificate(of, peer)?.epoch ?? 0);
  }

  /** How many members are certified, those whose membership was revoked included. */
  get memberCount(): number {
    return this.#certificates.member.size;
  }

  get revocationCount(): number {
    return Object.values(this.#revocations).reduce((sum, { size }) => sum + size, 0);
  }
}
