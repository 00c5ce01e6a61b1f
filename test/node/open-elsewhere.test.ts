// What is open on other machines, as they say: each incident with the machine that has it, without what tells of the swarm itself.
import { expect, it } from 'vitest';
import { GRAY_POLICY } from '../../node/coordination/gray.ts';
import { TOGETHER_POLICY } from '../../node/coordination/nova.ts';
import { isOfMachine, openOn } from '../../node/coordination/open-elsewhere.ts';
import type { TableSources } from '../../node/query/catalogue/table.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';

it('are the incidents that are not closed, of the machines that were asked', async () => {
  const asked: unknown[] = [];
  const answers: Record<string, unknown[][]> = {
    p: [
      ['inc-1', 'whatever', 'web', 'service-down', null],
      ['inc-2', 'whatever', 'db', 'service-down', 5],
      ['inc-3', 'whatever', 'swarm', TOGETHER_POLICY, null],
      ['inc-4', 'whatever', 'p', GRAY_POLICY, null],
    ],
    q: [['inc-5', 'liar', '/', 'disk-full', null]],
  };
  const sources = {
    swarm: {
      self: 'self',
      nameOf: (peer: string) => `name of ${peer}`,
      ask: async (
        peers: string[],
        kind: string,
        body: Uint8Array,
        { take, timeoutMs, asker }: { take(peer: string, body: Uint8Array, ms: number): void; timeoutMs: number; asker: string },
      ) => {
        asked.push([kind, decodeCbor(body), timeoutMs, asker]);
        for (const peer of peers) if (answers[peer] !== undefined) take(peer, encodeCbor([answers[peer], false]), 1);
        return [];
      },
    },
  } as unknown as TableSources;
  expect(await openOn(['p', 'q', 'r'], sources)).toEqual([
    { peer: 'p', id: 'inc-1', target: 'web' },
    { peer: 'q', id: 'inc-5', target: '/' },
  ]);
  expect(asked).toEqual([
    ['table', ['incidents', ['id', 'node', 'target', 'policy', 'closed_ms'], [], [], null], 2_000, 'the swarm'],
  ]);
});

it('are of a machine unless they tell of the swarm', () => {
  expect([TOGETHER_POLICY, GRAY_POLICY, 'service-down'].map((policy) => isOfMachine({ policy }))).toEqual([false, false, true]);
});
