// Peers that watch each other's audit: growth is signed; a log that was cut back, rewritten or forked is found, and the proof of it
// holds for anybody, from two signatures of its own agent. Nobody can prove that of a log that only grew.
import { describe, expect, it } from 'vitest';
import { AuditLog } from '../../node/audit/audit-log.ts';
import { checkProof, conflictText, proofSchema } from '../../node/audit/proof.ts';
import { AuditWitness, conflictOf, encodeShown, type Shown, shownOf, type Witnessed } from '../../node/audit/witness.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { Store, StoreOperation } from '../../swarm/ports/store.ts';
import { makePeers } from '../support/crypto.ts';

function storeOn(content: Map<string, Uint8Array>): Store {
  return {
    get: async (key) => content.get(key),
    write: async (operations: readonly StoreOperation[]) => {
      for (const one of operations) {
        if (one.kind === 'put') content.set(one.key, one.value);
        else content.delete(one.key);
      }
    },
    range: async (prefix, { limit }) =>
      [...content]
        .filter(([key]) => key.startsWith(prefix))
        .sort()
        .slice(0, limit),
    close: async () => undefined,
  };
}

/** An agent's log, which can be copied, and put back. */
class Log {
  readonly #crypto: Crypto;
  readonly content: Map<string, Uint8Array>;
  static nowMs = 1_000;

  constructor(crypto: Crypto, content = new Map<string, Uint8Array>()) {
    this.#crypto = crypto;
    this.content = content;
  }

  copy(): Log {
    return new Log(this.#crypto, new Map(this.content));
  }

  async #open(): Promise<AuditLog> {
    const clock = { wallMs: () => ++Log.nowMs, monotonicMs: () => Log.nowMs, after: () => ({ cancel: () => undefined }) };
    const log = new AuditLog(storeOn(this.content), clock, this.#crypto);
    await log.open();
    return log;
  }

  async grow(...texts: string[]): Promise<void> {
    const log = await this.#open();
    for (const text of texts) await log.append('control', 'test', text);
  }

  async shown(since: number): Promise<Shown> {
    const log = await this.#open();
    if (log.head === undefined) throw new Error('nothing is in it');
    const proof = since === 0 ? undefined : await log.proveConsistency(since);
    return proof === undefined ? { oldSize: 0, oldRoot: new Uint8Array(), head: log.head, path: [] } : shownOf(proof);
  }
}

async function world() {
  const [agent, first, second] = await makePeers(3);
  if (agent === undefined || first === undefined || second === undefined) throw new Error('nobody is there');
  const log = new Log(agent);
  const kept = new Map<string, Uint8Array>();
  const witness = new AuditWitness(storeOn(kept), first);
  const show = async (of: Log, since: number, to = witness): Promise<Witnessed> =>
    to.judge(agent.self, encodeShown(await of.shown(since)));
  return { agent, first, second, log, witness, kept, show };
}

/** As it is handed over in a file. */
const overText = (conflict: Parameters<typeof conflictText>[0]) =>
  proofSchema.parse(JSON.parse(JSON.stringify(conflictText(conflict))));

describe('a witness of an audit', () => {
  it('signs what only grew, and asks from where it knows', async () => {
    const { log, witness, show, agent, kept, first } = await world();
    await log.grow('a', 'b', 'c');
    expect((await show(log, 0)).kind).toBe('signed');
    await log.grow('d', 'e');
    expect(await show(log, 0)).toEqual({ kind: 'since', size: 3 });
    expect((await show(log, 3)).kind).toBe('signed');
    expect([witness.headOf(agent.self)?.size, witness.conflicts()]).toEqual([5, []]);
    // It remembers over a restart.
    const again = new AuditWitness(storeOn(kept), first);
    await again.open();
    expect(again.headOf(agent.self)?.size).toBe(5);
    // Another's log it does not judge.
    expect((await witness.judge(first.self, encodeShown(await log.shown(0)))).kind).toBe('refused');
  });

  it.each([
    ['cut back', 2, ['other'], 'the log was cut back'],
    ['forked at the same size', 3, ['x', 'y'], 'two logs of one size'],
    ['rewritten and grown', 3, ['x', 'y', 'z', 'w'], 'the log was rewritten'],
  ])('proves that a log was %s', async (_what, keptSize, texts, why) => {
    const { log, witness, show, agent, second } = await world();
    await log.grow(...Array.from({ length: keptSize }, (_, i) => `record ${i}`));
    const old = log.copy();
    await log.grow('what', 'nobody should see'.repeat(1));
    while ((await log.shown(0)).head.size < 5) await log.grow('more');
    await show(log, 0);
    await old.grow(...texts);
    const judged = await show(old, 5);
    if (judged.kind !== 'conflict') throw new Error(`it is ${judged.kind}`);
    expect(judged.why).toBe(why);
    const proof = overText(judged.conflict);
    expect(checkProof(proof, second)).toEqual({ valid: true });
    // Another witness believes the proof, and nobody's word.
    const other = new AuditWitness(storeOn(new Map()), second);
    expect(await other.take(judged.conflict)).toBe(agent.self);
    expect(other.conflicts().map((one) => one.why)).toEqual([why]);
    expect(witness.conflicts().map(({ peer }) => peer)).toEqual([agent.self]);
    const { earlier } = judged.conflict;
    for (const changed of [
      { ...judged.conflict, later: { ...judged.conflict.later, size: 99 } },
      { ...judged.conflict, earlier: { ...earlier, atMs: earlier.atMs - 1 } },
      { ...judged.conflict, earlier: judged.conflict.later },
    ])
      expect(conflictOf(second, changed), JSON.stringify(changed.later.size)).toBeUndefined();
  });

  it('cannot prove anything of a log that only grew', async () => {
    const { log, second } = await world();
    const shown: Shown[] = [];
    for (let i = 0; i < 9; i++) {
      await log.grow(`record ${i}`);
      shown.push(await log.shown(Math.max(1, i - 2)));
    }
    for (const a of shown)
      for (const b of shown)
        for (const c of shown) {
          const instead = { oldRoot: c.oldRoot, path: c.path };
          expect(conflictOf(second, { earlier: a.head, later: b.head, instead })).toBeUndefined();
          expect(conflictOf(second, { earlier: a.head, later: b.head, instead: null })).toBeUndefined();
        }
  });
});

describe('an audit that is changed on one machine, simulated', () => {
  it('is known to all others within two minutes, and no other is accused', async () => {
    const document = { mode: 'act', service: [{ name: 'web', command: ['web'], port: 8080 }] };
    const cluster = Cluster.of({ nodes: 5, seed: 4, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
    cluster.start();
    await cluster.runUntil(30_000);
    const node = cluster.node(3);
    const before = new Map([...node.disk.content].filter(([key]) => key.startsWith('audit/')));
    node.linux.services.kill('web');
    await cluster.runUntil(150_000);
    const standing = cluster.node(1).agent?.parts.auditWatch.standing;
    expect([(standing?.signed.length ?? 0) > 0, standing?.conflicts]).toEqual([true, []]);
    // Root on that machine puts the log back to what it was before.
    node.crash();
    for (const key of [...node.disk.content.keys()]) if (key.startsWith('audit/')) node.disk.content.delete(key);
    for (const [key, value] of before) node.disk.content.set(key, value);
    node.boot();
    await cluster.runUntil(270_000);
    for (const other of cluster.nodes.filter((one) => one !== node))
      expect(
        other.agent?.parts.auditWatch.standing.conflicts.map(({ peer }) => peer),
        other.name,
      ).toEqual([node.peer]);
  });
});
