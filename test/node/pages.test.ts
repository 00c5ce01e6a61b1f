// Lists in pages: each item once while others come and go, and as clients of before take them.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Agent } from '../../node/agent/agent.ts';
import { callForAll } from '../../node/api/client.ts';
import { listed, type Page } from '../../node/api/pages.ts';
import { KalosClient } from '../../node/sdk/client.ts';

interface Item {
  at: number;
  id: string;
}
const item = z.strictObject({ at: z.number(), id: z.string() });
const numbered = (from: number, to: number): Item[] =>
  Array.from({ length: to - from }, (_, nth) => ({ at: from + nth, id: `i${from + nth}` }));

const keyOf = ({ at, id }: Item): string => `${String(at).padStart(6, '0')} ${id}`;

function listOf(items: Item[], path = '/v1/things') {
  const route = listed<Item>(path, 'Things', { tag: 'incidents', item, read: () => items, keyOf });
  return async (query: Record<string, string>) => {
    const by = { level: 'look', name: 'test' } as const;
    const { status, body } = await route.handle({} as Agent, { body: undefined, query, parameter: '', by });
    if (status === 200) expect(route.answer.safeParse(body).error).toBeUndefined();
    return { status, body: body as Page<Item> & Item[] & { error: string } };
  };
}

async function read(
  ask: ReturnType<typeof listOf>,
  limit: string,
  between: (page: number) => void = () => undefined,
): Promise<string[]> {
  const seen: string[] = [];
  let cursor: string | null = '';
  for (let page = 0; cursor !== null; page++) {
    const { body } = await ask(cursor === '' ? { limit } : { limit, cursor });
    expect(body.items.length).toBeLessThanOrEqual(Number(limit));
    seen.push(...body.items.map(({ id }) => id));
    cursor = body.next;
    between(page);
  }
  return seen;
}

describe('a list in pages', () => {
  it('gives each item once, in order, whatever the size of a page', async () => {
    const items = numbered(0, 25);
    for (const limit of ['1', '7', '25', '1000']) expect(await read(listOf(items), limit)).toEqual(items.map(({ id }) => id));
    expect(await read(listOf([]), '5')).toEqual([]);
  });

  it('gives those that stay once, while new ones come, old ones go, and the one that it was at goes', async () => {
    const items = numbered(0, 20);
    const seen = await read(listOf(items), '4', (page) => {
      items.push({ at: 100 + page, id: `new${page}` });
      if (page > 2) return;
      items.splice(0, 2);
      items.splice(
        items.findIndex(({ at }) => at === page * 4 + 3),
        1,
      ); // the last of this page
    });
    const [old, fresh] = [seen.filter((id) => id.startsWith('i')), seen.filter((id) => id.startsWith('new'))];
    expect(old).toEqual(numbered(0, 20).map(({ id }) => id));
    expect(fresh.slice(0, 4)).toEqual(['new0', 'new1', 'new2', 'new3']);
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('goes on from where it was, where a clock that was set back has put newer ones before', async () => {
    const items = numbered(0, 6);
    const ask = listOf(items);
    const { body } = await ask({ limit: '6' });
    expect(body.next).toBeNull();
    const first = (await ask({ limit: '5' })).body;
    items.push({ at: 1, id: 'set back' });
    expect((await ask({ limit: '5', cursor: first.next ?? '' })).body.items.map(({ id }) => id)).toEqual(['i5', 'set back']);
  });

  it('is the list itself without a limit, as clients up to 0.3.0 take it: the newest, in bounds', async () => {
    expect((await listOf(numbered(0, 30))({})).body).toEqual(numbered(0, 30));
    const many = (await listOf(numbered(0, 12_000))({})).body;
    expect([many.length, many[0]?.id, many.at(-1)?.id]).toEqual([10_000, 'i2000', 'i11999']);
  });

  it('takes no page above its bytes, and always one item', async () => {
    const large = numbered(0, 3).map(({ at }) => ({ at, id: `${at}`.padEnd(5_000_000, '.') }));
    const sizes: number[] = [];
    const ask = listOf(large);
    const first = (await ask({ limit: '3' })).body;
    sizes.push(first.items.length, (await ask({})).body.length);
    expect(sizes).toEqual([1, 1]);
  });

  it('says in one line what is wrong with a limit or a cursor', async () => {
    const ask = listOf(numbered(0, 5));
    const other = (await listOf(numbered(0, 5), '/v1/others')({ limit: '2' })).body.next ?? '';
    const wrong: [Record<string, string>, RegExp][] = [
      [{ limit: '0' }, /^limit = "0": must be at least 1$/],
      [{ limit: '1001' }, /^limit = "1001": must be at most 1000$/],
      [{ limit: '-3' }, /^limit = "-3": must be at least 1$/],
      [{ limit: '1.5' }, /^limit = "1.5": must be a whole number$/],
      [{ limit: 'all' }, /^limit = "all": must be a number$/],
      [{ limit: '' }, /^limit = "": must be at least 1$/],
      [{ limt: '3' }, /^limt: unknown key; did you mean "limit"\?$/],
      [{ cursor: 'x' }, /^cursor = "x" is not a cursor of \/v1\/things: use "next" of the previous page, or omit it$/],
      [{ cursor: other }, /is not a cursor of \/v1\/things/],
      [{ cursor: '' }, /is not a cursor of/],
      [{ cursor: 'x'.repeat(3_000) }, /^cursor = .* must be at most 2000 characters$/],
    ];
    for (const [query, words] of wrong) {
      const { status, body } = await ask(query);
      expect([status, body.error]).toEqual([400, expect.stringMatching(words)]);
      expect(body.error).not.toContain('\n');
    }
  });
});

describe('a client of a list in pages', () => {
  const serving = async (
    answer: (query: Record<string, string>) => Promise<unknown>,
    then: (address: string) => Promise<void>,
  ) => {
    const server = createServer(async ({ url = '' }, response) => {
      response.end(JSON.stringify(await answer(Object.fromEntries(new URLSearchParams(url.split('?')[1])))));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      await then(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    } finally {
      server.close();
    }
  };

  it('follows them to the end, or one by one', async () => {
    const items = numbered(0, 1_203);
    const ask = listOf(items, '/v1/incidents');
    await serving(
      async (query) => (await ask(query)).body,
      async (address) => {
        expect(await callForAll({ address }, '/v1/incidents')).toEqual(items);
        const sizes: number[] = [];
        for await (const page of new KalosClient({ address }).incidentPages(400)) sizes.push(page.length);
        expect(sizes).toEqual([400, 400, 400, 3]);
      },
    );
  });

  it('takes the plain list of an agent of 0.3.0, which knows no pages', async () => {
    await serving(
      async () => numbered(0, 7),
      async (address) => expect(await callForAll({ address }, '/v1/incidents')).toEqual(numbered(0, 7)),
    );
  });
});
