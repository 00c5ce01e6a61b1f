// The policies that an agent judges by: whose wins, what is kept over a restart, and that a bundle is taken whole or not.
import { describe, expect, it } from 'vitest';
import { checkPolicy, type KnownPolicy, type Origin, PolicySet, parsePolicy } from '../../node/agent/policies.ts';
import type { Policy } from '../../node/detection/policy.ts';
import { PolicyError } from '../../node/detection/policy-detector.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { PlainStore } from '../support/store.ts';

const policy = (name: string, summary = name) => ({ name, when: 'true', summary });
const known = (origin: Origin, ...names: string[]): KnownPolicy[] =>
  names.map((name) => ({ policy: parsePolicy(policy(name, `${origin} ${name}`)), origin }));
const summaries = (set: PolicySet): string[] => set.all().map(({ policy: { summary }, origin }) => `${origin}: ${summary}`);

function world(base: KnownPolicy[] = [], store = new PlainStore(), maxRules?: number) {
  const taken: string[][] = [];
  const its = { refuses: false };
  const noted: string[] = [];
  const judge = (policies: Policy[]): void => {
    if (its.refuses) throw new PolicyError('x', 'not now');
    taken.push(policies.map(({ summary }) => summary));
  };
  const owner = { judge, noted: async (text: string) => void noted.push(text) };
  return { set: new PolicySet(store, base, owner, maxRules), store, taken, its, noted };
}

const OWNER = { judge: () => undefined, noted: async () => undefined };

describe('policies of one name', () => {
  it('are replaced: the swarm’s win over shipped ones, this machine’s own over those, live ones over all', async () => {
    const { set, taken } = world([...known('own', 'c', 'd'), ...known('shipped', 'a', 'b', 'c')]);
    await set.follow('one', [policy('b', 'swarm b'), policy('c', 'swarm c'), policy('e', 'swarm e')]);
    await set.apply([policy('d', 'live d')]);
    const all = ['shipped a', 'swarm b', 'own c', 'live d', 'swarm e'];
    expect([summaries(set).sort(), taken.at(-1)?.toSorted()]).toEqual([
      ['live: live d', 'own: own c', 'shipped: shipped a', 'swarm: swarm b', 'swarm: swarm e'],
      all.toSorted(),
    ]);
    expect([set.bundle, set.ofSwarm]).toEqual(['one', ['b', 'c', 'e']]);
  });
});

describe('live policies', () => {
  it('are kept over a restart until they are removed', async () => {
    const { set, store, taken } = world(known('own', 'a'));
    expect((await set.apply([policy('b'), policy('c')])).map(({ name }) => name)).toEqual(['b', 'c']);
    const again = world(known('own', 'a'), store);
    expect([await again.set.open(), summaries(again.set)]).toEqual([[], ['own: own a', 'live: b', 'live: c']]);
    expect([await set.remove('b'), await set.remove('b'), await set.remove('a')]).toEqual([true, false, false]);
    expect(taken).toEqual([
      ['own a', 'b', 'c'],
      ['own a', 'c'],
    ]);
    expect([[...store.content.keys()], summaries(set)]).toEqual([['policy/c'], ['own: own a', 'live: c']]);
  });

  it('are as they were where the agent does not take them, or one of them is wrong', async () => {
    const { set, store, its } = world(known('own', 'a'));
    await set.apply([policy('b')]);
    const before = [summaries(set), [...store.content]];
    its.refuses = true;
    await expect(set.apply([policy('c')])).rejects.toThrow('not now');
    await expect(set.remove('b')).rejects.toThrow('not now');
    its.refuses = false;
    await expect(set.apply([policy('c'), { ...policy('d'), when: 'nonsense(' }])).rejects.toThrow(PolicyError);
    expect([summaries(set), [...store.content]]).toEqual(before);
  });

  it('that are understood no more are left out at the start, and said; a disabled one is not looked at', async () => {
    const store = new PlainStore();
    store.content.set('policy/odd', encodeCbor({ ...policy('odd'), when: 'nonsense(' }));
    store.content.set('policy/none', encodeCbor({ name: 'none' }));
    store.content.set('policy/off', encodeCbor({ ...policy('off'), when: 'later.version(1)', enabled: false }));
    store.content.set('policy/good', encodeCbor(policy('good')));
    const { set } = world([], store);
    const wrong = await set.open();
    expect(wrong.map((one) => one.split(':')[0])).toEqual(['none', 'odd']);
    expect(summaries(set)).toEqual(['live: good', 'live: off']);
  });
});

describe('the swarm’s policies', () => {
  it('are those of the newest bundle, kept over a restart with what is undefined left out', async () => {
    const { set, store } = world();
    await set.follow('one', [policy('a')]);
    await set.follow('two', [{ ...policy('b'), condition: undefined }]);
    expect(summaries(set)).toEqual(['swarm: b']);
    const again = world([], store);
    expect([await again.set.open(), again.set.bundle, summaries(again.set)]).toEqual([[], 'two', ['swarm: b']]);
    expect(decodeCbor(store.content.get('swarm-policies') as Uint8Array)).toMatchObject(['two', [{ name: 'b' }]]);
  });

  it('stay those of the bundle before where one is wrong, or the agent does not take them', async () => {
    const { set, store, its } = world(known('own', 'x'), undefined, 2);
    await set.follow('one', [policy('a')]);
    const kept = [...store.content];
    await expect(set.follow('two', [policy('b'), { ...policy('c'), when: '1 +' }])).rejects.toThrow(PolicyError);
    await expect(set.follow('two', [policy('b'), policy('c')])).rejects.toThrow(
      'policy limit: 3 policies, but policy_engine.max_rules is 2',
    );
    its.refuses = true;
    await expect(set.follow('two', [policy('b')])).rejects.toThrow('not now');
    expect([set.bundle, summaries(set).sort(), [...store.content]]).toEqual(['one', ['own: own x', 'swarm: a'], kept]);
  });

  it('that are understood no more are none, and said', async () => {
    for (const bad of [['one', [{ ...policy('a'), when: '1 +' }]], ['one'], 7]) {
      const store = new PlainStore();
      store.content.set('swarm-policies', encodeCbor(bad));
      const { set } = world([], store);
      expect((await set.open())[0]).toMatch(/^swarm policies: /);
      expect([set.bundle, set.all()]).toEqual(['', []]);
    }
  });
});

describe('policies of the configuration', () => {
  it('are replaced by others; nothing has changed where those are too many or are not taken', () => {
    const { set, taken, its } = world(known('own', 'a'), undefined, 2);
    set.configure(known('own', 'b', 'c'));
    expect([summaries(set), taken]).toEqual([['own: own b', 'own: own c'], [['own b', 'own c']]]);
    expect(() => set.configure(known('own', 'd', 'e', 'f'))).toThrow('policy limit: ');
    its.refuses = true;
    expect(() => set.configure(known('own', 'g'))).toThrow('not now');
    expect([summaries(set), taken.length]).toEqual([['own: own b', 'own: own c'], 1]);
  });

  it('are a thousand at most, where nothing else is said', () => {
    const many = (count: number) => known('own', ...Array.from({ length: count }, (_, i) => `p${i}`));
    expect(new PolicySet(new PlainStore(), many(1_000), OWNER).all().length).toBe(1_000);
    expect(() => new PolicySet(new PlainStore(), many(1_001), OWNER)).toThrow(
      '1001 policies, but policy_engine.max_rules is 1000',
    );
  });
});

describe('a policy that is wrong', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['in its shape', { summary: undefined }, /p: .*summary/],
    ['without a name', { name: undefined }, /without a name/],
    ['in its expression', { when: 'metrics[' }, /p: /],
    ['in its expression, though it is disabled', { when: 'metrics[', enabled: false }, /p: /],
    [
      'in its remedy',
      { remedy: { tool: 'service.restrt' } },
      /unknown tool "service.restrt" in a remedy; did you mean "service.restart"\?/,
    ],
    ['in its remedy, which only reads', { remedy: { tool: 'fs.stat' } }, /unknown tool "fs.stat" in a remedy/],
    [
      'by its own test',
      {
        test: [
          { name: 'fires', fires: true },
          { name: 'stays quiet', fires: false },
        ],
      },
      /p: its own test "stays quiet": /,
    ],
  ])('%s is said to be', (_how, change, words) => {
    expect(() => checkPolicy(parsePolicy({ ...policy('p'), ...change }))).toThrow(words);
    expect(() => checkPolicy(parsePolicy({ ...policy('p'), ...change }))).toThrow(PolicyError);
  });

  it('is none where nothing is wrong with it', () => {
    expect(checkPolicy(parsePolicy({ ...policy('p'), remedy: { tool: 'service.restart', service: 'web' } }))).toBeUndefined();
  });
});
