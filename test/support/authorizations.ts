// Leave with real keys: a machine, who watches it, operators, and certificates and orders of theirs over steps that a test chooses.
import { certificateQuorum } from '../../consensus/quorum.ts';
import { decodeCertificate, encodeCertificate } from '../../consensus/vote/certificate.ts';
import { type Claim, claimIdOf, type Vote, voteBytes, type Warrant } from '../../consensus/vote/claim.ts';
import { certificateProof, changeProof, encodeAuthorization } from '../../node/action/authorization.ts';
import { type SignedChange, signChange } from '../../node/action/signed-change.ts';
import { type Step, stepToWire } from '../../node/ports/actuator.ts';
import { encodeCbor, toHex } from '../../swarm/dissemination/cbor.ts';
import { makeGenesis } from '../../swarm/identity/genesis.ts';
import { type RecordBody, signRecord } from '../../swarm/identity/record.ts';
import { Roster } from '../../swarm/identity/roster.ts';
import { certifiedBy } from '../../swarm/identity/roster-store.ts';
import type { Ed25519Crypto } from '../../swarm/libp2p/identity.ts';
import { observersOf } from '../../swarm/membership/observers.ts';
import { makePeer, makePeers } from './crypto.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

export interface CertificateOptions {
  plan?: string;
  by?: readonly Ed25519Crypto[];
  claim?: Partial<Claim>;
  warrant?: Partial<Warrant>;
}

/** A swarm of `count` members, the machine among them, and three operators. */
export class AuthorizationWorld {
  nowMs: number;
  readonly roster: Roster;
  readonly #root: Ed25519Crypto;
  readonly self: Ed25519Crypto;
  readonly others: readonly Ed25519Crypto[];
  readonly operators: readonly Ed25519Crypto[];
  readonly tools: Uint8Array;
  #nonces = 0;

  private constructor(root: Ed25519Crypto, all: Ed25519Crypto[], operators: Ed25519Crypto[], nowMs: number) {
    const [self, ...others] = all;
    if (self === undefined) throw new RangeError('nobody is there');
    [this.#root, this.self, this.others, this.operators, this.nowMs] = [root, self, others, operators, nowMs];
    const nonce = new Uint8Array(16);
    const genesis = makeGenesis(root, { name: 'tests', rootKeys: [root.self], threshold: 1, createdMs: nowMs, nonce });
    this.roster = new Roster(self, genesis.swarmId);
    this.roster.authority.adopt(genesis.bytes);
    this.tools = self.hash(new Uint8Array([1]));
    const shared = { epoch: 0, fromMs: nowMs - MINUTE_MS, untilMs: nowMs + 30 * DAY_MS };
    this.admit({ kind: 'issuer', subject: self.self, ...shared });
    for (const [nth, one] of operators.entries())
      this.admit({ kind: 'operator', subject: one.self, name: `op-${nth}`, ...shared });
    for (const [nth, one] of all.entries()) this.roster.offer(this.member(one, `m-${nth}`), nowMs);
  }

  static async of(count: number, nowMs: number): Promise<AuthorizationWorld> {
    return new AuthorizationWorld(await makePeer(), await makePeers(count), await makePeers(3), nowMs);
  }

  /** Its certificate, as it is admitted, or later renewed. */
  member(one: Ed25519Crypto, name: string, nowMs = this.nowMs - MINUTE_MS): Uint8Array {
    const from = { name, role: 'member', nowMs } as const;
    return certifiedBy(this.self, this.roster.swarmId, one.self, from).bytes;
  }

  /** By the root key. */
  admit(body: RecordBody): void {
    const { verdict } = this.roster.offer(signRecord(this.self, this.roster.swarmId, body, [this.#root]).bytes, this.nowMs);
    if (verdict !== 'accept') throw new Error(`a ${body.kind} is not taken: ${verdict}`);
  }

  revoke(one: Ed25519Crypto): void {
    const body = {
      subject: one.self,
      of: 'member',
      epoch: 0,
      fromMs: this.nowMs,
      untilMs: this.nowMs,
      reason: 'a test',
    } as const;
    this.admit({ kind: 'revocation', ...body });
  }

  /** Those that watch this machine. */
  witnesses(): Ed25519Crypto[] {
    const members = this.roster.members().map(({ subject }) => subject);
    const drawn = observersOf(this.self.self, members);
    return this.others.filter((one) => drawn.includes(one.self));
  }

  /** Over the tools and the steps. */
  callsOf(steps: readonly Step[]): Uint8Array {
    const { self } = this;
    return self.hash(encodeCbor([this.tools, self.hash(encodeCbor(steps.map(stepToWire)))]));
  }

  certificate(steps: readonly Step[], options: CertificateOptions = {}): Uint8Array {
    const { self, nowMs } = this;
    const { plan = 'plan-1', by = this.witnesses() } = options;
    const warrant: Warrant = {
      plan,
      calls: this.callsOf(steps),
      precondition: self.hash(new Uint8Array([2])),
      nonce: self.hash(new Uint8Array([3, this.#nonces++])).slice(0, 16),
      epoch: 0,
      term: 7,
      ...options.warrant,
    };
    const claim: Claim = {
      subject: self.self,
      kind: 'service-down',
      target: 'web',
      port: 8080,
      fromMs: nowMs - 1_000,
      expiresAtMs: nowMs + 4 * MINUTE_MS,
      evidenceDigest: self.hash(new Uint8Array([4])),
      ...options.claim,
      warrant,
    };
    const claimId = claimIdOf(this.roster.swarmId, claim, self.hash);
    const votes = by.slice(0, certificateQuorum(by.length)).map((one): Vote => {
      const unsigned = { claimId, witness: one.self, verdict: 'yes', reason: 'port-refused', confidence: 95 } as const;
      return { ...unsigned, signature: one.sign(voteBytes(this.roster.swarmId, unsigned)) };
    });
    return encodeCertificate({ claim, witnesses: by.map((one) => one.self), votes });
  }

  /** @param roster what the agent shows: all that it knows, where it is honest */
  leave(certificate: Uint8Array, roster = this.roster): Uint8Array {
    const witnesses = decodeCertificate(certificate)?.witnesses;
    return encodeAuthorization(
      { roster, peer: this.self.self, tools: this.tools, nowMs: this.nowMs },
      certificateProof(certificate),
      witnesses,
    );
  }

  async order(steps: readonly Step[], by = this.operators.slice(0, 2), more: Partial<SignedChange> = {}): Promise<Uint8Array> {
    let order: SignedChange = {
      v: 1,
      swarm: this.roster.swarmId,
      node: 'm-0',
      peer: this.self.self,
      calls: [{ tool: 'service.restart', service: 'web' }],
      diff: [],
      reason: 'a test',
      callsDigest: toHex(this.callsOf(steps)),
      before: '00',
      nonce: toHex(this.self.hash(new Uint8Array([5, this.#nonces++]))),
      untilMs: this.nowMs + MINUTE_MS,
      signatures: [],
      ...more,
    };
    for (const one of by) order = await signChange(order, one);
    return encodeAuthorization(
      { roster: this.roster, peer: this.self.self, tools: this.tools, nowMs: this.nowMs },
      changeProof(order),
    );
  }
}
