// Decides which swarm an agent enters: the one on its disk, that of a join token, or a new one.
import { equalBytes } from '../swarm/dissemination/cbor.ts';
import { MAX_ROOT_KEYS, MAX_SWARM_NAME, makeGenesis, parseGenesis } from '../swarm/identity/genesis.ts';
import { foundSwarm, genesisOn, type Signer } from '../swarm/identity/roster-store.ts';
import { type JoinToken, looksLikeToken, parseToken } from '../swarm/identity/token.ts';
import type { Crypto } from '../swarm/ports/crypto.ts';
import type { Random } from '../swarm/ports/random.ts';
import type { Store } from '../swarm/ports/store.ts';
import type { StateDirectory } from './config/adapters/state-directory.ts';
import { keepNetworkKeys, makeRootKeys, newNetworkKey, readNetworkKeys, rootKeysIn } from './config/adapters/swarm-files.ts';
import { KalosError } from './errors.ts';

const NONCE_BYTES = 16;

/** Settings of a new swarm. */
export interface Founding {
  swarmName: string | undefined;
  rootKeys: number;
  rootThreshold: number;
  /** With a pre-shared network key. */
  isPrivate: boolean;
}

export interface Entered {
  swarmId: string;
  token: JoinToken | undefined;
  /** Addresses of members, used while no member is connected. */
  bootstrap: string[];
  rootSigners: Signer[];
  /** Newest first; empty if the swarm has no network key. */
  networkKeys: Uint8Array[];
  /** Whether this start created the swarm. */
  founded: boolean;
}

interface Entering {
  directory: StateDirectory;
  store: Store;
  crypto: Crypto;
  random: Random;
  /** Join tokens and addresses, as given. */
  join: readonly string[];
  name: string;
  nowMs: number;
  founding: Founding;
}

/** @throws KalosError */
export async function enterSwarm(entering: Entering): Promise<Entered> {
  const { directory, store, crypto, join } = entering;
  const token = tokenOf(crypto, join);
  const bootstrap = join.filter((text) => !looksLikeToken(text));
  const rootSigners = await rootKeysIn(directory.rootKeys);
  const known = await genesisOn(store);
  const genesis = known && parseGenesis(crypto, known);
  if (known !== undefined && genesis === undefined)
    throw new KalosError('damaged', `${directory.path} has a genesis record of an unsupported KALOS version`);
  if (genesis !== undefined && token !== undefined && token.swarmId !== genesis.swarmId) {
    throw new KalosError(
      'config',
      `${directory.path} belongs to swarm ${genesis.swarmId.slice(0, 8)} (${genesis.name}), but the token is for swarm ${token.swarmId.slice(0, 8)}`,
      'choose a new state directory with --dir, or leave that swarm first with: kalos leave',
    );
  }
  if (token?.networkKey !== undefined) takeNetworkKey(directory, token.networkKey);
  const shared = { token, bootstrap, founded: false };
  const swarmId = genesis?.swarmId ?? token?.swarmId;
  if (swarmId !== undefined) return { ...shared, swarmId, rootSigners, networkKeys: readNetworkKeys(directory.networkKey) };
  if (bootstrap.length > 0) {
    throw new KalosError(
      'usage',
      'joining needs a token; an address alone is not enough',
      'on an issuer, such as the first agent, run: kalos token create; then here: kalos up --join TOKEN',
    );
  }
  return { ...shared, founded: true, ...(await found(entering, rootSigners)) };
}

function tokenOf(crypto: Crypto, join: readonly string[]): JoinToken | undefined {
  const tokens = join.filter(looksLikeToken);
  const [first] = tokens;
  if (first === undefined) return undefined;
  if (tokens.length > 1) throw new KalosError('usage', `${tokens.length} join tokens were given: give only one`);
  const token = parseToken(crypto, first);
  if (typeof token === 'string')
    throw new KalosError('usage', `the token cannot be read: ${token}`, 'copy the whole token, on one line');
  return token;
}

/** Creates a swarm of one. Keys that an interrupted attempt left are used. */
async function found(
  entering: Entering,
  kept: readonly Signer[],
): Promise<Pick<Entered, 'swarmId' | 'rootSigners' | 'networkKeys'>> {
  const { directory, store, crypto, random, name, nowMs, founding } = entering;
  const { rootKeys, rootThreshold, isPrivate } = founding;
  if (rootKeys > MAX_ROOT_KEYS || rootThreshold > rootKeys)
    throw new KalosError(
      'usage',
      `--root-threshold ${rootThreshold} must not exceed --root-keys ${rootKeys} (at most ${MAX_ROOT_KEYS})`,
    );
  const swarmName = (founding.swarmName ?? name).slice(0, MAX_SWARM_NAME);
  const rootSigners = kept.length > 0 ? [...kept] : await makeRootKeys(directory.rootKeys, rootKeys);
  if (isPrivate && readNetworkKeys(directory.networkKey).length === 0) keepNetworkKeys(directory, [newNetworkKey()]);
  const genesis = makeGenesis(crypto, {
    name: swarmName,
    rootKeys: rootSigners.map(({ self }) => self),
    threshold: Math.min(rootThreshold, rootSigners.length),
    createdMs: nowMs,
    nonce: random.bytes(NONCE_BYTES),
  });
  await store.write(foundSwarm(crypto, genesis, rootSigners, { name, nowMs }));
  return { swarmId: genesis.swarmId, rootSigners, networkKeys: readNetworkKeys(directory.networkKey) };
}

/** A token created after a rotation has the new key, for a member that was offline during the rotation. */
function takeNetworkKey(directory: StateDirectory, key: Uint8Array): void {
  const known = readNetworkKeys(directory.networkKey);
  if (!known.some((one) => equalBytes(one, key))) keepNetworkKeys(directory, [key, ...known]);
}
