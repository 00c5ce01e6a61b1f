// Two runs of one key: shown with proof to whoever meets the second while the first still answers; and never where an agent only started
// again, whatever its clock says, or whatever somebody says in its name.
import { describe, expect, it } from 'vitest';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { asBefore, encodeAnswer, encodeHello, parseAnswer, parseHello } from '../../swarm/identity/hello.ts';
import { Instances } from '../../swarm/identity/instances.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import { makePeer } from '../support/crypto.ts';

const SWARM = 'ab'.repeat(16);
let drawn = 0;

/** A run of an agent, with a clock of its own. */
class Run {
  readonly crypto: Crypto;
  readonly logged: string[] = [];
  readonly instances: Instances;
  /** Who answers at the other end of the connection that a peer has. */
  readonly connected = new Map<string, Run>();
  nowMs = 1_000_000;
  wallMs: number;

  constructor(crypto: Crypto, place: string, wallMs = 1_800_000_000_000) {
    this.crypto = crypto;
    this.wallMs = wallMs;
    const clock = { monotonicMs: () => this.nowMs, wallMs: () => this.wallMs, after: () => ({ cancel: () => undefined }) };
    const random = { uint32: () => 0, bytes: (length: number) => crypto.hash(encodeCbor(['run', drawn++])).slice(0, length) };
    const ask = async (peer: string, statement: Uint8Array): Promise<Uint8Array> => {
      const other = this.connected.get(peer);
      if (other === undefined) throw new Error('nobody is connected');
      return other.instances.answer(statement);
    };
    this.instances = new Instances(
      { crypto, clock, random },
      { swarmId: SWARM, place },
      { ask, nameOf: () => 'web', log: (_, text) => void this.logged.push(text) },
    );
  }

  /** Lets a run in, or not, a second after whatever was before. @returns whether it did */
  async meets(run: Run): Promise<boolean> {
    run.wallMs += 1_000;
    const proof = await this.instances.judge(run.crypto.self, run.instances.statement());
    if (proof === undefined) this.connected.set(run.crypto.self, run);
    else run.instances.refused(proof);
    return proof === undefined;
  }

  ownConflict(): string | undefined {
    return this.instances.conflictOf(this.crypto.self);
  }
}

async function world() {
  const [peer, other] = [await makePeer(), await makePeer()];
  const first = new Run(peer, 'one, process 1');
  const witness = new Run(other, 'witness');
  expect(await witness.meets(first)).toBe(true);
  return { peer, other, first, witness };
}

describe('two runs of one key', () => {
  it('are told of each other, and the second is not let in', async () => {
    const { peer, first, witness } = await world();
    const second = new Run(peer, 'two, process 2');
    expect(await witness.meets(second)).toBe(false);
    expect(witness.instances.conflictOf(peer.self)).toBe(
      'two agents have the key of web, on one, process 1 and on two, process 2: the second is refused; stop one of them',
    );
    expect(second.ownConflict()).toMatch(/another one runs on one, process 1/);
    expect(await witness.meets(second)).toBe(false);
    expect(first.ownConflict()).toMatch(/^two agents have this key: another one runs on two, process 2, so neither of them acts/);
    for (const run of [first, second, witness]) expect(run.logged).toHaveLength(1);
  });

  it('are told apart too where the first was let in without showing which it is, with a token', async () => {
    const { peer, other, first } = await world();
    const issuer = new Run(other, 'issuer');
    issuer.connected.set(peer.self, first);
    const second = new Run(peer, 'two');
    expect(await issuer.meets(second)).toBe(false);
    expect(await issuer.meets(second)).toBe(false);
    expect(first.ownConflict()).toBeDefined();
  });

  it('are one again half a minute after the second was met last', async () => {
    const { peer, first, witness } = await world();
    const second = new Run(peer, 'two');
    await witness.meets(second);
    await witness.meets(second);
    first.nowMs += 29_000;
    expect(first.ownConflict()).toBeDefined();
    first.nowMs += 2_000;
    expect(first.ownConflict()).toBeUndefined();
  });

  it.each([-600_000, 600_000])('are found where the clock of the second is %i ms off', async (offMs) => {
    const { peer, first, witness } = await world();
    const second = new Run(peer, 'two', first.wallMs + offMs);
    expect(await witness.meets(second)).toBe(false);
    expect(await witness.meets(second)).toBe(false);
    for (const run of [first, second]) expect(run.ownConflict()).toBeDefined();
  });

  it('are not held back longer by what the second said before it was stopped', async () => {
    const { peer, first, witness } = await world();
    const second = new Run(peer, 'two');
    await witness.meets(second);
    const said = second.instances.statement();
    first.instances.answer(said);
    first.nowMs += 29_000;
    first.instances.answer(said);
    first.nowMs += 2_000;
    expect(first.ownConflict()).toBeUndefined();
  });
});

describe('a member that had the second say much in advance', () => {
  it('holds the first back no longer with it', async () => {
    const { peer, first, witness } = await world();
    const second = new Run(peer, 'two');
    await witness.meets(second);
    await witness.meets(second);
    const hoard = Array.from({ length: 20 }, () => {
      second.wallMs += 100;
      return second.instances.answer(first.instances.statement());
    });
    for (const said of hoard) {
      first.nowMs += 25_000;
      first.instances.answer(said);
    }
    expect(first.ownConflict()).toBeUndefined();
    // One that still runs is told of, as before.
    second.wallMs += hoard.length * 25_000;
    first.instances.answer(second.instances.answer(first.instances.statement()));
    expect(first.ownConflict()).toBeDefined();
  });
});

describe('one run after the other', () => {
  it('is let in, where the one before has gone or does not answer', async () => {
    const { peer, first, witness } = await world();
    witness.connected.delete(peer.self);
    const again = new Run(peer, 'one, process 7', first.wallMs + 1);
    expect(await witness.meets(again)).toBe(true);
    expect([first, again, witness].map((run) => run.ownConflict())).toEqual([undefined, undefined, undefined]);
    expect(await witness.meets(again)).toBe(true);
  });

  it('is not troubled by what the one before said, whoever shows it', async () => {
    const { peer, first } = await world();
    const old = first.instances.statement();
    // Its clock may have been set back since.
    for (const wallMs of [first.wallMs + 1, first.wallMs - 3_600_000]) {
      const again = new Run(peer, 'one', wallMs);
      again.instances.answer(old);
      again.instances.refused(old);
      expect(again.ownConflict()).toBeUndefined();
    }
    const again = new Run(peer, 'one', first.wallMs + 1);
    expect(() => again.instances.answer(again.instances.statement())).toThrow(/another run/);
  });

  it('is not troubled by others who speak in its name', async () => {
    const { other, first } = await world();
    const liar = new Run(other, 'liar');
    expect(() => first.instances.answer(liar.instances.statement())).toThrow(/another run/);
    expect(() => first.instances.answer(new Uint8Array([1, 2, 3]))).toThrow(/another run/);
    first.instances.refused(liar.instances.statement());
    expect(first.ownConflict()).toBeUndefined();
    expect(await liar.instances.judge(first.crypto.self, liar.instances.statement())).toBeUndefined();
  });
});

describe('a hello', () => {
  it('is said to who knows the version before as that has it', async () => {
    const hello = {
      swarmId: SWARM,
      wallMs: 5,
      certificate: new Uint8Array([1]),
      issuer: undefined,
      redeem: undefined,
      instance: new Uint8Array([9]),
    };
    expect(parseHello(encodeHello(hello))).toEqual(hello);
    expect(parseHello(asBefore(encodeHello(hello)))).toEqual({ ...hello, instance: undefined });
    const answer = {
      refusal: undefined,
      hello,
      grant: { genesis: new Uint8Array([2]), records: [new Uint8Array([3])] },
      proof: undefined,
    };
    expect(parseAnswer(encodeAnswer(answer))).toEqual(answer);
    expect(parseAnswer(asBefore(encodeAnswer(answer)))).toEqual({ ...answer, hello: { ...hello, instance: undefined } });
    const no = {
      refusal: { code: 'twin' as const, text: 'two' },
      hello: undefined,
      grant: undefined,
      proof: new Uint8Array([7]),
    };
    expect(parseAnswer(encodeAnswer(no))).toEqual(no);
    expect(parseAnswer(asBefore(encodeAnswer(no)))).toEqual({
      ...no,
      refusal: { code: 'failed', text: 'two' },
      proof: undefined,
    });
  });
});
