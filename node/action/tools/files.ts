// fs.*: files in the directories that the actuator's policy names. What a change replaces is kept until the change is confirmed, and then
// archived if it is small (1 MiB, the 256 newest).
import { z } from 'zod';
import { toHex, utf8 } from '../../../swarm/dissemination/cbor.ts';
import { counted } from '../../../swarm/words.ts';
import type { Reading } from '../../ports/actuator.ts';
import type { ToolCall } from '../../tool-call.ts';
import {
  type ChangeTool,
  changeTool,
  type Look,
  type Machine,
  plainName,
  plainPath,
  type ReadTool,
  type RiskClass,
  readTool,
  SETTING,
  type Snapshot,
  wholeNumber,
} from '../tool.ts';

const MAX_CONTENT_LENGTH = 256 * 1024;
const MAX_ARCHIVED_BYTES = 1_048_576;
const MAX_CLEANED = 1_000;
const MAX_DIFF_LINES = 40;
const MAX_AGE_S = 10 * 365 * 86_400;

/** The actuator's answer to file.stat. */
const statSchema = z
  .tuple([
    z.string(),
    z.enum(['file', 'directory', 'link', 'other']),
    z.number(),
    z.number(),
    z.number(),
    z.number(),
    z.number(),
    z.number(),
    z.number(),
  ])
  .transform(([path, type, size, mode, uid, gid, mtimeMs, links, inode]) => {
    return { path, type, size, mode, uid, gid, mtimeMs, links, inode };
  });
type FileStat = z.infer<typeof statSchema>;

async function ask<T>(
  machine: Machine,
  reading: Reading,
  schema: z.ZodType<T>,
): Promise<{ ok: true; value: T } | { ok: false; code: string; reason: string }> {
  const answer = await machine.actuator.read(reading);
  if (!answer.ok) return { ok: false, code: answer.code, reason: answer.message };
  return { ok: true, value: schema.parse(answer.value) };
}

const ABSENT: Snapshot = { type: 'absent', size: 0, mode: 0, inode: 0, content: null };

async function contentOf(machine: Machine, path: string): Promise<Uint8Array | undefined> {
  const read = await ask(machine, ['file.read', path], z.instanceof(Uint8Array));
  return read.ok ? read.value : undefined;
}

async function lookAt({ path }: { path: string }, machine: Machine): Promise<Look> {
  const found = await ask(machine, ['file.stat', path], statSchema);
  if (!found.ok) return found.code === 'not-found' ? { ok: true, before: ABSENT } : found;
  const { type, size, mode, inode } = found.value;
  const content = type === 'file' ? await contentOf(machine, path) : undefined;
  return { ok: true, before: { type, size, mode, inode, content: content === undefined ? null : digest(machine, content) } };
}

function digest(machine: Machine, content: Uint8Array): string {
  return toHex(machine.crypto.hash(content));
}

/** Only a regular file is changed. */
function notRegular(_call: unknown, { type }: Snapshot): string | undefined {
  return type === 'file' ? undefined : type === 'absent' ? 'the file does not exist' : `it is not a regular file but a ${type}`;
}

const shared = {
  version: 1,
  capability: 'files',
  blastRadius: 'readers of the file',
  target: (call: { path: string }) => `file:${call.path}`,
  risks: ['R1'] as readonly RiskClass[],
  risk: (): RiskClass => 'R1',
};

/** An empty text has no line; the newline that ends the last line starts no other. */
const linesOf = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'));

/** Only if both texts have a last line. */
function lastLineDiff(before: string, after: string): string[] {
  if (before === '' || after === '' || before.endsWith('\n') === after.endsWith('\n')) return [];
  return [`the last line ends ${after.endsWith('\n') ? 'with' : 'without'} a newline, which it did not before`];
}

/** The different lines, between the common start and the common end. */
export function lineDiff(before: string, after: string): string[] {
  const [old, fresh] = [linesOf(before), linesOf(after)];
  let start = 0;
  while (start < old.length && start < fresh.length && old[start] === fresh[start]) start++;
  let end = 0;
  while (end < old.length - start && end < fresh.length - start && old.at(-1 - end) === fresh.at(-1 - end)) end++;
  const lines = [
    ...old.slice(start, old.length - end).map((line) => `-${line}`),
    ...fresh.slice(start, fresh.length - end).map((line) => `+${line}`),
  ];
  const shown = lines.slice(0, MAX_DIFF_LINES);
  const more = lines.length > shown.length ? [`… ${lines.length - shown.length} more`] : [];
  const ending = lastLineDiff(before, after);
  return [...(lines.length > 0 || ending.length === 0 ? [`@@ line ${start + 1} @@`] : []), ...shown, ...more, ...ending];
}

const writeSchema = z.strictObject({
  tool: z.literal('fs.write'),
  path: plainPath,
  content: z.string().max(MAX_CONTENT_LENGTH),
  /** Octal, as for chmod(1); by default the file's own. */
  mode: z
    .string()
    .regex(/^0?[0-7]{3}$/, 'three octal digits')
    .optional(),
});

/** The call that restores a file: from its archived content, or by removal if it did not exist. */
function inverseOfWrite({ path }: { path: string }, before: Snapshot, key: string): ToolCall | undefined {
  if (before.type === 'absent') return { tool: 'fs.remove', path };
  return Number(before.size) <= MAX_ARCHIVED_BYTES ? { tool: 'fs.restore', path, backup: key } : undefined;
}

const fsWrite = changeTool(writeSchema, {
  ...shared,
  ...SETTING,
  name: 'fs.write',
  description: 'Creates a file or replaces it atomically; keeps owner and mode',
  look: (call, machine) => lookAt(call, machine),
  refusal: (_call, { type }) => (type === 'file' || type === 'absent' ? undefined : `it is not a regular file but a ${type}`),
  dryRun: async (call, before, machine) => {
    const old = before.type === 'absent' ? undefined : await contentOf(machine, call.path);
    if (before.type !== 'absent' && old === undefined)
      return [`${call.path}: ${counted(Number(before.size), 'byte')} → ${counted(utf8(call.content).length, 'byte')}`];
    return [
      `${before.type === 'absent' ? 'new file ' : ''}${call.path}`,
      ...lineDiff(old === undefined ? '' : new TextDecoder().decode(old), call.content),
    ];
  },
  steps: ({ path, content, mode }) => [
    {
      do: ['file.replace', path, utf8(content), mode === undefined ? -1 : Number.parseInt(mode, 8)],
      undo: ['file.restore', path],
    },
  ],
  intended: ({ content, mode }, before, machine) => ({
    type: 'file',
    size: utf8(content).length,
    content: digest(machine, utf8(content)),
    ...(mode === undefined ? (before.type === 'file' ? { mode: before.mode ?? 0 } : {}) : { mode: Number.parseInt(mode, 8) }),
  }),
  inverse: inverseOfWrite,
});

const fsRemove = changeTool(z.strictObject({ tool: z.literal('fs.remove'), path: plainPath }), {
  ...shared,
  ...SETTING,
  name: 'fs.remove',
  description: 'Removes a file; archives up to 1 MiB',
  look: (call, machine) => lookAt(call, machine),
  refusal: (call, before) =>
    notRegular(call, before) ??
    (Number(before.size) > MAX_ARCHIVED_BYTES ? 'the file is too large to archive, so its removal is irreversible' : undefined),
  dryRun: ({ path }, { size }) => [`${path}: ${counted(Number(size), 'byte')} → removed`],
  steps: ({ path }) => [{ do: ['file.remove', path], undo: ['file.return', path] }],
  intended: () => ({ type: 'absent' }),
  inverse: ({ path }, _before, key) => ({ tool: 'fs.restore', path, backup: key }),
});

const fsRestore = changeTool(z.strictObject({ tool: z.literal('fs.restore'), path: plainPath, backup: plainName }), {
  ...shared,
  ...SETTING,
  name: 'fs.restore',
  description: 'Restores a file from the archive of an earlier change',
  look: async (call, machine) => {
    const look = await lookAt(call, machine);
    if (!look.ok) return look;
    const archived = await ask(machine, ['archive.read', call.backup], z.instanceof(Uint8Array));
    return archived.ok ? { ok: true, before: { ...look.before, archived: digest(machine, archived.value) } } : archived;
  },
  refusal: (_call, { type }) => (type === 'file' || type === 'absent' ? undefined : `it is not a regular file but a ${type}`),
  dryRun: ({ path, backup }, { size }) => [`${path}: ${counted(Number(size), 'byte')} → the backup of ${backup}`],
  steps: ({ path, backup }) => [{ do: ['file.recall', path, backup], undo: ['file.restore', path] }],
  intended: (_call, { archived }) => ({ type: 'file', content: archived ?? null }),
  inverse: inverseOfWrite,
});

const fsRotate = changeTool(
  z.strictObject({ tool: z.literal('fs.rotate'), path: plainPath, keep: wholeNumber(1, 32).default(5) }),
  {
    ...shared,
    ...SETTING,
    name: 'fs.rotate',
    description: 'Rotates a log to .1, .2 and so on and starts a new one; reload its service after it',
    look: async (call, machine) => {
      const look = await lookAt(call, machine);
      if (!look.ok) return look;
      const first = await ask(machine, ['file.stat', `${call.path}.1`], statSchema);
      return { ok: true, before: { ...look.before, firstInode: first.ok ? first.value.inode : 0 } };
    },
    refusal: notRegular,
    dryRun: ({ path, keep }, { size }) => [
      `${path}: ${counted(Number(size), 'byte')} → 0 bytes`,
      `${path}.1 … ${path}.${keep}: each moves up one, the last is removed`,
    ],
    steps: ({ path, keep }) => [{ do: ['file.rotate', path, keep], undo: ['file.unrotate', path, keep] }],
    intended: (_call, { inode }) => ({ type: 'file', firstInode: inode ?? 0 }),
    inverse: () => undefined,
  },
);

const cleanSchema = z.strictObject({
  tool: z.literal('fs.clean'),
  directory: plainPath,
  /** Only names that end with it: `.tmp`, `.log.gz`. */
  suffix: z
    .string()
    .min(2)
    .max(64)
    .regex(/^[.~_-][A-Za-z0-9._~-]*$/, 'a suffix such as .tmp'),
  older_than_s: wholeNumber(0, MAX_AGE_S),
});

/** Oldest first, as many as one change can hold. */
async function cleanable(
  call: z.infer<typeof cleanSchema>,
  machine: Machine,
): Promise<{ ok: true; files: FileStat[] } | { ok: false; reason: string }> {
  const listed = await ask(machine, ['file.list', call.directory], z.array(statSchema));
  if (!listed.ok) return listed;
  const latestMs = machine.sensors.sample().wallMs - call.older_than_s * 1_000;
  const files = listed.value.filter(
    ({ path, type, links, mtimeMs }) => type === 'file' && links === 1 && mtimeMs <= latestMs && path.endsWith(call.suffix),
  );
  const oldest = files.toSorted((a, b) => a.mtimeMs - b.mtimeMs).slice(0, MAX_CLEANED);
  return { ok: true, files: oldest };
}

/** Names of directories whose content can be created again. Elsewhere an irreversible removal is R3. */
const EXPENDABLE = /\/(\.?cache|caches|tmp|temp|log|logs|crash|spool)(\/|$)/i;

const fsClean = changeTool(cleanSchema, {
  name: 'fs.clean',
  version: 1,
  description: 'Removes a directory’s oldest files by suffix; restores them unless the removal is confirmed',
  capability: 'files',
  blastRadius: 'users of the files',
  target: ({ directory }) => `file:${directory}`,
  risks: ['R1', 'R3'],
  risk: ({ directory }) => (EXPENDABLE.test(directory) ? 'R1' : 'R3'),
  gradual: true,
  verification: { condition: 'files-gone', stableMs: 1_000, windowMs: 10_000 },
  timeoutMs: 30_000,
  rate: { uses: 20, withinMs: 300_000 },
  look: async (call, machine) => {
    const found = await cleanable(call, machine);
    if (!found.ok) return found;
    const bytes = found.files.reduce((sum, { size }) => sum + size, 0);
    const names = found.files.map(({ path }) => path.slice(call.directory.length + 1));
    return { ok: true, before: { count: names.length, bytes, names: JSON.stringify(names) } };
  },
  refusal: (call, { count }) => (count === 0 ? `no file there has suffix ${call.suffix} and is old enough` : undefined),
  dryRun: ({ directory }, { count, bytes, names }) => {
    const shown = namesOf(names).map((name) => `-${directory}/${name}`);
    const more = shown.length > MAX_DIFF_LINES ? [`… and ${shown.length - MAX_DIFF_LINES} more`] : [];
    return [
      `${counted(Number(count), 'file')}, ${counted(Number(bytes), 'byte')}, ${count === 1 ? 'is' : 'are'} removed:`,
      ...shown.slice(0, MAX_DIFF_LINES),
      ...more,
    ];
  },
  steps: ({ directory }, { names }) => [
    { do: ['files.hide', directory, namesOf(names)], undo: ['files.show', directory, namesOf(names)] },
  ],
  inverse: () => undefined,
});

export function namesOf(names: Snapshot[string] | undefined): string[] {
  return z.array(z.string()).parse(JSON.parse(String(names)));
}

const fsList = readTool(z.strictObject({ tool: z.literal('fs.list'), directory: plainPath }), {
  name: 'fs.list',
  version: 1,
  description: 'Lists a directory',
  capability: 'files',
  target: ({ directory }) => `file:${directory}`,
  risks: ['R0'],
  risk: () => 'R0',
  read: ({ directory }, machine) => ask(machine, ['file.list', directory], z.array(statSchema)),
});

const fsStat = readTool(z.strictObject({ tool: z.literal('fs.stat'), path: plainPath }), {
  name: 'fs.stat',
  version: 1,
  description: 'Size, owner, mode and age of a file',
  capability: 'files',
  target: ({ path }) => `file:${path}`,
  risks: ['R0'],
  risk: () => 'R0',
  read: ({ path }, machine) => ask(machine, ['file.stat', path], statSchema),
});

export const FILE_TOOLS: readonly ChangeTool[] = [fsWrite, fsRemove, fsRestore, fsRotate, fsClean];
export const FILE_READS: readonly ReadTool[] = [fsList, fsStat];
