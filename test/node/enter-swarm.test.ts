// Which swarm an agent enters: that of its disk, that of a token, or a new one of its own; and what it is refused for.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { stateDirectory } from '../../node/config/adapters/state-directory.ts';
import { keepNetworkKeys, readNetworkKeys } from '../../node/config/adapters/swarm-files.ts';
import { enterSwarm, type Founding } from '../../node/enter-swarm.ts';
import { SeededRandom } from '../../sim/random.ts';
import { parseGenesis } from '../../swarm/identity/genesis.ts';
import { genesisOn } from '../../swarm/identity/roster-store.ts';
import { encodeToken } from '../../swarm/identity/token.ts';
import { makePeer } from '../support/crypto.ts';
import { PlainStore } from '../support/store.ts';

const place = mkdtempSync(join(tmpdir(), 'kalos-enter-'));
afterAll(() => rmSync(place, { recursive: true, force: true }));
const crypto = await makePeer();

let count = 0;
function machine() {
  const directory = stateDirectory(join(place, `state-${count++}`));
  const store = new PlainStore();
  const enter = (join: readonly string[] = [], founding: Partial<Founding> = {}) =>
    enterSwarm({
      ...{ directory, store, crypto, random: new SeededRandom(count, 'enter'), join, name: 'ada', nowMs: 5_000 },
      founding: { swarmName: undefined, rootKeys: 1, rootThreshold: 1, isPrivate: false, ...founding },
    });
  const genesis = async () => parseGenesis(crypto, (await genesisOn(store)) ?? expect.fail('there is none'));
  return { directory, store, enter, genesis };
}
const tokenFor = (swarmId: string, networkKey?: Uint8Array): string =>
  encodeToken(crypto, {
    ...{ swarmId, issuer: crypto.self, addresses: ['/ip4/10.0.0.1/tcp/7700'] },
    ...{ id: new Uint8Array(8), secret: new Uint8Array(16), networkKey },
  });
const OTHERS = 'f'.repeat(32);

describe('a new swarm', () => {
  it('is founded with its root keys, and entered again from the disk', async () => {
    const { directory, enter, genesis } = machine();
    const first = await enter([], { rootKeys: 3, rootThreshold: 2, swarmName: 'x'.repeat(40) });
    expect(first).toMatchObject({ founded: true, token: undefined, bootstrap: [], networkKeys: [] });
    expect(first.rootSigners).toHaveLength(3);
    expect(await genesis()).toMatchObject({ swarmId: first.swarmId, name: 'x'.repeat(32), threshold: 2, createdMs: 5_000 });
    const again = await enter();
    expect(again).toMatchObject({ founded: false, swarmId: first.swarmId });
    expect(again.rootSigners.map(({ self }) => self)).toEqual(first.rootSigners.map(({ self }) => self));
    rmSync(directory.rootKeys, { recursive: true });
    expect((await enter()).rootSigners).toEqual([]);
  });

  it('uses the root keys that a crash left, and is called as its agent where nothing is said', async () => {
    const { enter, store, genesis } = machine();
    const first = await enter([], { rootKeys: 2, rootThreshold: 2 });
    store.content.clear();
    const again = await enter([], { rootKeys: 5, rootThreshold: 5 });
    expect(again.rootSigners.map(({ self }) => self)).toEqual(first.rootSigners.map(({ self }) => self));
    expect(await genesis()).toMatchObject({ name: 'ada', threshold: 2 });
  });

  it('has a network key where it is private, one alone', async () => {
    const { enter, store, directory } = machine();
    const { networkKeys } = await enter([], { isPrivate: true });
    expect(networkKeys.map(({ length }) => length)).toEqual([32]);
    expect(readNetworkKeys(directory.networkKey)).toEqual(networkKeys);
    store.content.clear();
    expect((await enter([], { isPrivate: true })).networkKeys).toEqual(networkKeys);
  });

  it.each([
    [17, 1, '--root-threshold 1 must not exceed --root-keys 17 (at most 16)'],
    [2, 3, '--root-threshold 3 must not exceed --root-keys 2 (at most 16)'],
  ])('of %i root keys of which %i sign is refused', async (rootKeys, rootThreshold, message) => {
    const { enter, directory } = machine();
    await expect(enter([], { rootKeys, rootThreshold })).rejects.toMatchObject({ code: 'usage', message });
    expect(existsSync(directory.rootKeys)).toBe(false);
  });
});

describe('a token', () => {
  it('leads to its swarm, with the addresses beside it and its network key before the older ones', async () => {
    const { enter, directory } = machine();
    const [older, key] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    await enter([], {}); // makes the directory
    const fresh = machine();
    await expect(fresh.enter(['/ip4/10.0.0.9/tcp/1'])).rejects.toMatchObject({
      ...{ code: 'usage', message: 'joining needs a token; an address alone is not enough' },
    });
    keepNetworkKeys(directory, [older]);
    const joining = machine();
    const entered = await joining.enter(['/ip4/10.0.0.9/tcp/1', tokenFor(OTHERS)]);
    expect(entered).toMatchObject({ founded: false, swarmId: OTHERS, bootstrap: ['/ip4/10.0.0.9/tcp/1'], networkKeys: [] });
    expect([entered.token?.swarmId, entered.token?.addresses]).toEqual([OTHERS, ['/ip4/10.0.0.1/tcp/7700']]);
    const own = await enter();
    expect((await enter([tokenFor(own.swarmId, key)])).networkKeys).toEqual([key, older]);
    expect((await enter([tokenFor(own.swarmId, older)])).networkKeys).toEqual([key, older]);
  });

  it('of another swarm, one too many, or one that cannot be read is refused', async () => {
    const { enter, directory } = machine();
    const { swarmId } = await enter();
    await expect(enter([tokenFor(OTHERS)])).rejects.toMatchObject({
      code: 'config',
      message: `${directory.path} belongs to swarm ${swarmId.slice(0, 8)} (ada), but the token is for swarm ffffffff`,
    });
    const token = tokenFor(swarmId);
    await expect(enter([token, token])).rejects.toThrow('2 join tokens were given: give only one');
    await expect(enter([token.slice(0, -3)])).rejects.toMatchObject({
      ...{ message: expect.stringMatching(/^the token cannot be read: ./), hint: 'copy the whole token, on one line' },
    });
  });

  it('helps nothing where the disk holds what is of another version', async () => {
    const { enter, store } = machine();
    await enter();
    for (const [key, value] of store.content) if (value.length > 0) store.content.set(key, new Uint8Array([1]));
    await expect(enter()).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(/has a genesis record of an unsupported KALOS version$/),
    });
  });
});
