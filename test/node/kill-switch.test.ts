// The halt of all acting: kept over a restart with its reason, put on record, and held while the disk takes nothing.
import { describe, expect, it } from 'vitest';
import { endHalt, keepHalt, recallHalt } from '../../node/agent/kill-switch.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

const KEY = 'control/halted';

function world() {
  const scheduler = new Scheduler();
  const store = new PlainStore() as PlainStore & { refusal?: string };
  const log = { audit: [] as string[], failed: [] as unknown[] };
  const ports = { clock: new ProcessClock(scheduler, () => 5), store } as unknown as Ports;
  const reporter = {
    log: () => undefined,
    noted: async (text: string) => void log.audit.push(`${text} ${store.content.has(KEY)}`),
    failed: (error: unknown) => void log.failed.push(error),
  };
  return { ports, reporter, store, log, pump: (ms: number) => pass(scheduler, ms) };
}

describe('the halt of all acting', () => {
  it('is kept with its reason before it is on record, and ends on record before it is forgotten', async () => {
    const { ports, reporter, store, log } = world();
    expect(await recallHalt(store)).toBeUndefined();
    await keepHalt(ports, reporter, 'a person says so');
    expect([await recallHalt(store), log.audit]).toEqual(['a person says so', ['actions halted: a person says so true']]);
    expect(decodeCbor(store.content.get(KEY) ?? expect.fail())).toEqual({ atMs: 5, reason: 'a person says so' });
    await endHalt(ports, reporter);
    expect([await recallHalt(store), log.audit.at(-1)]).toEqual([undefined, 'actions resumed true']);
  });

  it.each([['nonsense'], [{ atMs: 1 }], [{ atMs: 1, reason: 'x', more: 1 }]])('holds though its record is %o', async (kept) => {
    const { store } = world();
    store.content.set(KEY, encodeCbor(kept));
    expect(await recallHalt(store)).toBe('the halt record cannot be read');
  });

  it('resolves while the disk takes no writes, and is recorded later', async () => {
    const { ports, reporter, store, log, pump } = world();
    let written: () => void = () => undefined;
    store.write = () =>
      new Promise((resolve) => {
        written = resolve;
      });
    let kept = false;
    void keepHalt(ports, reporter, 'x').then(() => {
      kept = true;
    });
    await pump(1_000);
    expect(kept).toBe(false);
    store.refusal = 'it is full';
    await pump(200);
    expect([kept, log.audit]).toEqual([true, []]);
    written();
    await pump(0);
    expect(log.audit.length).toBe(1);
  });

  it('fails aloud where it cannot be kept', async () => {
    const { ports, reporter, store, log } = world();
    store.write = () => Promise.reject(new Error('broken'));
    await expect(keepHalt(ports, reporter, 'x')).rejects.toThrow('broken');
    expect(log.failed).toEqual([new Error('broken')]);
  });
});
