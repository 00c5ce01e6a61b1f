// Lists in pages: a number of items, and a cursor. The cursor names an item, so items that are added or removed meanwhile move nothing:
// each item that stays is returned once. Without a limit the answer is an array of the newest items, as clients up to 0.3.0 expect it.
import { z } from 'zod';
import type { Agent } from '../agent/agent.ts';
import { shortly } from '../issue-words.ts';
import { asked, failed, ok, type Route, type Tag } from './route.ts';

const MAX_PAGE = 1_000;
const DEFAULT_PAGE = 100;
/** Of the items of an answer, as JSON; a page has at least one item. */
const MAX_PAGE_BYTES = 8 * 1024 * 1024;
/** Without a limit. */
const MAX_WHOLE = 10_000;
const MAX_CURSOR_CHARS = 2_000;

const querySchema = z.strictObject({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(MAX_PAGE)
    .optional()
    .meta({ default: DEFAULT_PAGE, description: 'Maximum number of items in a page; fewer if they are large' }),
  cursor: z
    .string()
    .max(MAX_CURSOR_CHARS)
    .optional()
    .describe('Cursor: “next” of the previous page. Without limit and cursor, the answer is the whole list'),
});

export interface Page<Item> {
  items: Item[];
  /** Null on the last page. */
  next: string | null;
}

interface Listed<Item> {
  tag: Tag;
  item: z.ZodType<Item>;
  /** All items, in the order of their keys, except where a clock was set. */
  read(agent: Agent): readonly Item[];
  /** The identity of an item, and its place in the list even after it was removed. */
  keyOf(item: Item): string;
}

export function listed<Item>(path: string, summary: string, { tag, item, read, keyOf }: Listed<Item>): Route {
  const page = z.strictObject({
    items: z.array(item),
    next: z.string().nullable().describe('The cursor of the next page; null on the last page'),
  });
  const whole = z.array(item).max(MAX_WHOLE).describe(`Without limit and cursor: the newest ${MAX_WHOLE}`);
  const answer = z.union([page, whole]) as z.ZodType<Page<Item> | Item[]>;
  return asked(path, summary, querySchema, { tag, answer }, (agent, query) => {
    const all = read(agent);
    if (query.limit === undefined && query.cursor === undefined) return ok(fitting(all.toReversed(), MAX_WHOLE).reverse());
    const after = query.cursor === undefined ? '' : keyIn(path, query.cursor);
    if (after === undefined)
      return failed(
        400,
        `cursor = ${shortly(query.cursor)} is not a cursor of ${path}: use "next" of the previous page, or omit it`,
      );
    const rest = query.cursor === undefined ? all : following(all, keyOf, after);
    const items = fitting(rest, query.limit ?? DEFAULT_PAGE);
    const last = items.at(-1);
    const next = last === undefined || items.length === rest.length ? null : cursorOf(path, keyOf(last));
    return ok({ items, next });
  });
}

/** The items after an item; if it was removed, after its place. */
function following<Item>(all: readonly Item[], keyOf: (item: Item) => string, key: string): readonly Item[] {
  const at = all.findIndex((item) => keyOf(item) === key);
  if (at >= 0) return all.slice(at + 1);
  const next = all.findIndex((item) => keyOf(item) > key);
  return next < 0 ? [] : all.slice(next);
}

function fitting<Item>(items: readonly Item[], most: number): Item[] {
  const taken: Item[] = [];
  let size = 0;
  for (const item of items.slice(0, most)) {
    size += JSON.stringify(item).length;
    if (taken.length > 0 && size > MAX_PAGE_BYTES) break;
    taken.push(item);
  }
  return taken;
}

/** Valid for one list only. */
const cursorOf = (path: string, key: string): string => Buffer.from(`${path} ${key}`, 'utf8').toString('base64url');

function keyIn(path: string, text: string): string | undefined {
  const decoded = Buffer.from(text, 'base64url').toString('utf8');
  return decoded.startsWith(`${path} `) && cursorOf(path, decoded.slice(path.length + 1)) === text
    ? decoded.slice(path.length + 1)
    : undefined;
}
