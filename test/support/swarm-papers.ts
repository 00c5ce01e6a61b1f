// Admissions with real keys and no network: who founded the swarm, who joins it, and what they say to each other.
import { utf8 } from '../../swarm/dissemination/cbor.ts';
import { Admission } from '../../swarm/identity/admission.ts';
import { makeGenesis } from '../../swarm/identity/genesis.ts';
import type { Issuer } from '../../swarm/identity/issuer.ts';
import type { SignedRecord } from '../../swarm/identity/record.ts';
import { foundSwarm, type Signer } from '../../swarm/identity/roster-store.ts';
import type { JoinToken } from '../../swarm/identity/token.ts';
import type { Ed25519Crypto } from '../../swarm/libp2p/identity.ts';
import type { Admitted } from '../../swarm/ports/transport.ts';
import { makePeer } from './crypto.ts';
import { PlainStore } from './store.ts';

export const START_MS = 1_800_000_000_000;
/** No two draw the same. */
let drawn = 0;

/** One agent's end of the hello, with a clock that the test sets. */
export class Papers {
  readonly crypto: Ed25519Crypto;
  readonly store = new PlainStore();
  readonly logged: string[] = [];
  readonly learned: SignedRecord[] = [];
  readonly admission: Admission;
  readonly token: JoinToken | undefined;
  nowMs = START_MS;
  issuerWithinReach = true;
  /** Issuers that are there. */
  readonly alive = new Map<string, Papers>();

  constructor(crypto: Ed25519Crypto, swarmId: string, name: string, token?: JoinToken, rootSigners: readonly Signer[] = []) {
    this.crypto = crypto;
    this.token = token;
    this.admission = new Admission(
      {
        crypto,
        store: this.store,
        clock: { monotonicMs: () => this.nowMs, wallMs: () => this.nowMs, after: () => ({ cancel: () => undefined }) },
        random: { uint32: () => drawn++, bytes: (length) => crypto.hash(utf8(`drawn ${drawn++}`)).slice(0, length) },
      },
      { swarmId, name, token, rootSigners },
      {
        log: (_level, text) => void this.logged.push(text),
        learned: (record) => void this.learned.push(record),
        issuerWithinReach: () => this.issuerWithinReach,
        isAlive: (peer) => this.alive.has(peer),
        forwardToken: async (maker, id, secret, by) => {
          const issuer = this.alive.get(maker);
          if (issuer === undefined) throw new Error('it is not there');
          return issuer.admission.issuer.redeemFor(id, secret, by);
        },
        tokensChanged: async () => undefined,
        askInstance: () => Promise.reject(new Error('nobody is connected here')),
      },
    );
  }

  get peer(): string {
    return this.crypto.self;
  }

  async restarted(name = 'again'): Promise<Papers> {
    const next = new Papers(this.crypto, this.admission.roster.swarmId, name);
    for (const [key, value] of await this.store.range('', { limit: 10_000 }))
      await next.store.write([{ kind: 'put', key, value }]);
    next.nowMs = this.nowMs;
    await next.admission.open();
    return next;
  }
}

export async function foundedSwarm(rootKeys = 1, threshold = 1): Promise<{ founder: Papers; roots: Ed25519Crypto[] }> {
  const crypto = await makePeer();
  const roots = await Promise.all(Array.from({ length: rootKeys }, makePeer));
  const genesis = makeGenesis(crypto, {
    name: 'tests',
    rootKeys: roots.map(({ self }) => self),
    threshold,
    createdMs: START_MS,
    nonce: crypto.hash(new Uint8Array()).slice(0, 16),
  });
  const founder = new Papers(crypto, genesis.swarmId, 'founder', undefined, roots);
  await founder.store.write(foundSwarm(crypto, genesis, roots, { name: 'founder', nowMs: START_MS }));
  await founder.admission.open();
  return { founder, roots };
}

/** The whole exchange. @returns why not, or undefined where both let each other in. */
export async function greet(dialer: Papers, listener: Papers): Promise<string | undefined> {
  const welcomed = await listener.admission.welcome(dialer.peer, dialer.admission.hello(listener.peer));
  const accepted = await dialer.admission.accept(listener.peer, said(welcomed));
  if (accepted.answer === undefined) return accepted.reason;
  const settled = await listener.admission.settle(dialer.peer, said(accepted));
  return [welcomed, accepted, settled].find(({ admitted }) => !admitted)?.reason;
}

export const said = ({ answer }: Admitted): Uint8Array => answer ?? new Uint8Array();

/** A newcomer with a token of an issuer's, not yet joined. */
export async function newcomer(
  issuer: Papers,
  name: string,
  options: Partial<Parameters<Issuer['makeToken']>[0]> = {},
): Promise<Papers> {
  const token = await issuer.admission.issuer.makeToken(
    { role: 'member', ttlMs: 600_000, uses: 1, networkKey: undefined, ...options },
    ['/ip4/127.0.0.1/tcp/1'],
  );
  const papers = new Papers(await makePeer(), issuer.admission.roster.swarmId, name, token);
  papers.nowMs = issuer.nowMs;
  await papers.admission.open();
  return papers;
}

/** One that has joined. */
export async function joined(
  issuer: Papers,
  name: string,
  options: Partial<Parameters<Issuer['makeToken']>[0]> = {},
): Promise<Papers> {
  const papers = await newcomer(issuer, name, options);
  const reason = await greet(papers, issuer);
  if (reason !== undefined) throw new Error(reason);
  return papers;
}
