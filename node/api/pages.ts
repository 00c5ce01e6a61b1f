// Lists in pages: so many items, and where the next page begins. A place is that of an item, so what is added or goes meanwhile moves nothing:
// each item that is there all the while comes once. Without a limit the answer is the list itself, as clients up to 0.3.0 take it: its newest.
import { z } from 'zod';
import type { Agent } from '../agent/agent.ts';
import { shortly } from '../issue-words.ts';
import { asked, failed, ok, type Route, type Tag } from './route.ts';

const MAX_PAGE = 1_000;
const DEFAULT_PAGE = 100;
/** Of an answer's items, as JSON; one item is always given. */
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
    .meta({ default: DEFAULT_PAGE, description: 'Items of a page, at most; fewer where they are large' }),
  cursor: z
    .string()
    .max(MAX_CURSOR_CHARS)
    .optional()
    .describe('Where the page begins: next of the page before. Without limit and cursor the answer is the list itself'),
});

export interface Page<Item> {
  items: Item[];
  /** Null where nothing is left. */
  next: string | null;
}

interface Listed<Item> {
  tag: Tag;
  item: z.ZodType<Item>;
  /** All of them, in the order of their keys but where a clock was set. */
  read(agent: Agent): readonly Item[];
  /** What an item is known by, and where it would be if it were gone. */
  keyOf(item: Item): string;
}

export function listed<Item>(path: string, summary: string, { tag, item, read, keyOf }: Listed<Item>): Route {
  const page = z.strictObject({
    items: z.array(item),
    next: z.string().nullable().describe('The cursor of the next page; null where nothing is left'),
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
        `cursor = ${shortly(query.cursor)} is none of ${path}: pass on "next" of the page before, or leave it out`,
      );
    const rest = query.cursor === undefined ? all : following(all, keyOf, after);
    const items = fitting(rest, query.limit ?? DEFAULT_PAGE);
    const last = items.at(-1);
    const next = last === undefined || items.length === rest.length ? null : cursorOf(path, keyOf(last));
    return ok({ items, next });
  });
}

/** What comes after an item; or, where it is gone, after its place. */
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

/** Of one list: another's is none. */
const cursorOf = (path: string, key: string): string => Buffer.from(`${path} ${key}`, 'utf8').toString('base64url');

function keyIn(path: string, text: string): string | undefined {
  const decoded = Buffer.from(text, 'base64url').toString('utf8');
  return decoded.startsWith(`${path} `) && cursorOf(path, decoded.slice(path.length + 1)) === text
    ? decoded.slice(path.length + 1)
    : undefined;
}
