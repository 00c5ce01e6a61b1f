// The root keys on this machine, if any: often they are kept elsewhere. They sign certificates of issuers and operators, and their revocations.
import type { Crypto } from '../ports/crypto.ts';
import type { PeerId } from '../ports/transport.ts';
import { counted } from '../words.ts';
import type { Drafts } from './drafts.ts';
import { DEPUTY_LIFE_MS } from './lifetimes.ts';
import { encodeBody, type IssuerCertificate, type RecordKind, recordToSign, type Signature, sealRecord } from './record.ts';
import type { Roster } from './roster.ts';
import type { RosterStore, Signer } from './roster-store.ts';

export class RootKeys {
  readonly #signers: readonly Signer[];
  readonly #crypto: Crypto;
  readonly #roster: Roster;
  readonly #store: RosterStore;
  readonly #drafts: Drafts;

  constructor(
    signers: readonly Signer[],
    crypto: Crypto,
    { roster, store, drafts }: { roster: Roster; store: RosterStore; drafts: Drafts },
  ) {
    this.#signers = signers;
    this.#crypto = crypto;
    this.#roster = roster;
    this.#store = store;
    this.#drafts = drafts;
  }

  /** How many root keys must sign, and how many are on this machine. */
  signatures(): { needed: number; atHand: number } {
    return { needed: this.#roster.authority.threshold, atHand: this.#signers.length };
  }

  /** Publishes a record with signatures of the root keys on this machine and the given ones. @throws RangeError if they are too few. */
  async publish(kind: RecordKind, body: Uint8Array, given: readonly Signature[]): Promise<void> {
    const toSign = recordToSign(this.#roster.swarmId, kind, body);
    const own = this.#signers.map((signer) => ({ by: signer.self, signature: signer.sign(toSign) }));
    const signatures = [...new Map([...own, ...given].map((signature) => [signature.by, signature])).values()];
    const record = sealRecord(this.#crypto, kind, body, signatures);
    const { authority } = this.#roster;
    if (!authority.bearsEnoughRoots(record))
      throw new RangeError(`${counted(authority.threshold, 'root key')} must sign this: name their files with --root-key`);
    await this.#store.publish(record);
  }

  /** Appoints a member as issuer. @returns false without the root keys */
  makeIssuer(peer: PeerId): Promise<boolean> {
    return this.#make(this.#drafts.issuer(peer));
  }

  /** Appoints a member as deputy issuer. @returns false without the root keys */
  makeDeputy(peer: PeerId): Promise<boolean> {
    return this.#make(this.#drafts.issuer(peer, DEPUTY_LIFE_MS));
  }

  async #make(certificate: IssuerCertificate): Promise<boolean> {
    const { needed, atHand } = this.signatures();
    if (atHand < needed) return false;
    await this.publish('issuer', encodeBody(this.#crypto, certificate), []);
    return true;
  }
}
