// Odd machines through both readers, the tables, the policies and /metrics: never an exception, a share outside 0…1, a negative age, or a
// number where the machine gave none; and nothing on a terminal that the terminal would obey.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { READERS } from '../../node/adapters/inspect/inspect.ts';
import { readBelow, unescaped } from '../../node/adapters/inspect/read.ts';
import { findPackage } from '../../node/adapters/package.ts';
import { sqlRun } from '../../node/adapters/sql-engine.ts';
import type { Agent } from '../../node/agent/agent.ts';
import { prometheus } from '../../node/api/prometheus.ts';
import { printableJson, table } from '../../node/cli/output.ts';
import { shippedPolicies } from '../../node/detection/adapters/shipped-policies.ts';
import { PolicyDetector } from '../../node/detection/policy-detector.ts';
import { targetsOf } from '../../node/detection/targets.ts';
import type { SqlValue } from '../../node/ports/compute.ts';
import type { Sample, Sensors } from '../../node/ports/sensors.ts';
import { LINUX_TABLES } from '../../node/query/catalogue/linux.ts';
import { NativeSampler } from '../../node/telemetry/adapters/native-sampler.ts';
import { ProcReader } from '../../node/telemetry/adapters/proc-reader.ts';
import { METRICS, readMetrics } from '../../node/telemetry/metrics.ts';
import { DetailSeries } from '../../node/telemetry/series.ts';
import { MACHINES, type Machine } from './machines.ts';

let root: string;
let checks = 0;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kalos-corpus-'));
});
afterEach(() => {
  readBelow('');
  rmSync(root, { recursive: true });
});
afterAll(() => process.stdout.write(`corpus: ${MACHINES.length} machines, ${checks} checks\n`));

function holds(what: string, condition: boolean): void {
  checks++;
  if (!condition) expect.fail(what);
}

function put(path: string, text: string | undefined): void {
  const at = join(root, path);
  if (text === undefined) return rmSync(at, { force: true });
  mkdirSync(dirname(at), { recursive: true });
  writeFileSync(at, text, path === '/proc/self/mounts' ? 'utf8' : text.includes('\ufffd') ? 'utf8' : undefined);
}

function build({ files, links = {} }: Machine): void {
  mkdirSync(root, { recursive: true });
  for (const [path, text] of Object.entries(files)) put(path, text);
  for (const [path, target] of Object.entries(links)) symlinkSync(target, join(root, path));
  for (const line of (files['/proc/self/mounts'] ?? '').split('\n')) {
    const path = unescaped(line.split(' ')[1] ?? '');
    if (path.startsWith('/') && !path.includes('\0') && path.split('/').every((part) => Buffer.byteLength(part) < 256))
      mkdirSync(join(root, path), { recursive: true });
  }
}

/** As the plain reader takes the processes of the scan before: a machine of each second. */
const readers: [string, () => Sensors][] = [
  ['native', () => new NativeSampler(createRequire(import.meta.url)(findPackage().addonPath), undefined, root)],
  ['plain', () => new ProcReader(undefined, root)],
];

/** Two samples, a second apart. */
function samples(machine: Machine, open: () => Sensors): [Sample, Sample] {
  rmSync(root, { recursive: true });
  build(machine);
  const first = open().sample();
  for (const [path, text] of Object.entries(machine.later ?? {})) put(path, text);
  const second = open().sample();
  return [first, { ...second, wallMs: first.wallMs + 1_000, monotonicMs: first.monotonicMs + 1_000 }];
}

/** The numbers in a sample, each with its place. */
function numbers(value: unknown, at: string): [string, number][] {
  if (typeof value === 'number') return [[at, value]];
  if (value instanceof Map) return [...value].flatMap(([key, one]) => numbers(one, `${at}.${String(key)}`));
  if (Array.isArray(value)) return value.flatMap((one, i) => numbers(one, `${at}[${i}]`));
  return typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, one]) => numbers(one, `${at}.${key}`))
    : [];
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;
const isShare = (name: string): boolean =>
  name.endsWith('.utilization') || name.endsWith('.iowait') || name.endsWith('.top_memory');
/** Degrees may lie below zero. */
const MAY_BE_NEGATIVE = /temperature/;

describe.each(MACHINES.map((machine) => [machine.name, machine] as const))('%s', (_name, machine) => {
  it.each(readers)('%s reader', (_reader, open) => {
    const [first, second] = samples(machine, open);
    for (const sample of [first, second])
      for (const [at, value] of numbers(sample, 'sample'))
        holds(`${at} is ${value}`, Number.isFinite(value) && (value >= 0 || MAY_BE_NEGATIVE.test(at)));
    for (const [sample, previous] of [
      [first, undefined],
      [second, first],
    ] as const) {
      const metrics = readMetrics(sample, previous);
      for (const [name, value] of metrics) {
        holds(`${name} is ${value}`, Number.isFinite(value) && (value >= 0 || MAY_BE_NEGATIVE.test(name)));
        if (isShare(name)) holds(`${name} is ${value}, a share`, value >= 0 && value <= 1);
        const said = !(machine.unknown ?? []).some((prefix) => name.startsWith(prefix)) || name.startsWith('system.kernel.');
        holds(`${name} is ${value}, though the machine says nothing of it`, said);
      }
      for (const [name, value] of new DetailSeries().values(sample, previous, new Map())) {
        holds(`${name} is ${value}`, Number.isFinite(value) && value >= 0);
        if (isShare(name.replace(/\{.*/s, '')) && !name.startsWith('process.')) holds(`${name} is ${value}, a share`, value <= 1);
      }
      const detector = new PolicyDetector(shippedPolicies());
      const targets = targetsOf(sample, [], []);
      detector.observe({ nowMs: 0, wallMs: sample.wallMs, metrics, targets });
      for (const [at, value] of numbers([...targets.values()], 'targets')) holds(`${at} is ${value}`, value >= 0 && value <= 1);
      checkExposition(metrics);
    }
  });

  it('both readers see the same', () => {
    const [native, plain] = readers.map(([, open]) => samples(machine, open));
    for (const i of [0, 1] as const) {
      const [a, b] = [native?.[i], plain?.[i]];
      for (const key of [
        'cpu',
        'load',
        'memoryTotalBytes',
        'memoryAvailableBytes',
        'swapFreeBytes',
        'disks',
        'pressureIo',
        'pressureCpu',
      ] as const) {
        checks++;
        expect(a?.[key], key).toEqual(b?.[key]);
      }
      // What is free may change between two looks.
      expect(a?.mounts.map(({ path, device, type }) => [path, device.slice(0, 63), type])).toEqual(
        b?.mounts.map(({ path, device, type }) => [path, Buffer.from(device).subarray(0, 63).toString(), type]),
      );
      const byPid = (of: Sample | undefined) =>
        of?.processes
          .toSorted((x, y) => x.pid - y.pid)
          .map((one) => ({ ...one, name: Buffer.from(one.name).subarray(0, 60).toString() }));
      expect(byPid(a)).toEqual(byPid(b));
      checks += 2;
    }
  });

  it('tables', async () => {
    build(machine);
    readBelow(root);
    for (const { name, columns } of LINUX_TABLES.filter((one) => !OF_THIS_MACHINE.has(one.name))) {
      const reader = READERS[name === 'processes' ? 'process_details' : name];
      const where = new Map([['path like', ['/srv/%', '/etc/%%']]]);
      const rows = (await reader?.(NEEDY.has(name) ? where : new Map())) ?? [];
      for (const row of rows)
        for (const { name: column, type } of columns) {
          const value = row[column];
          if (value === undefined || value === null) continue;
          const fits = type === 'TEXT' ? typeof value === 'string' : typeof value === 'number' || typeof value === 'bigint';
          holds(`${name}.${column} is ${typeof value} ${String(value)}`, fits);
          holds(
            `${name}.${column} is ${String(value)}`,
            typeof value !== 'number' ||
              (Number.isFinite(value) && (value >= 0 || SIGNED.test(column) || machine.name === 'every number is negative')),
          );
        }
      const names = columns.map((column) => column.name).filter((column) => column !== 'node');
      const data = [
        { table: name, columns: names, rows: rows.map((row) => names.map((column) => (row[column] ?? null) as SqlValue)) },
      ];
      const ran = sqlRun(`select * from ${name}`, LINUX_TABLES, data);
      holds(`${name}: ${ran.ok ? '' : ran.message}`, ran.ok);
      const printed = table(names, data[0]?.rows ?? []);
      holds(
        `${name} as a table is obeyed by a terminal`,
        !OBEYED.test(printed) && printed.split('\n').length === rows.length + 1,
      );
      holds(
        `${name} as JSON is obeyed by a terminal`,
        !OBEYED.test(printableJson(JSON.stringify(data, (_, one) => (typeof one === 'bigint' ? String(one) : one)))),
      );
    }
  });
});

/** Not read from files below the root. */
const OF_THIS_MACHINE = new Set(['systemd_units', 'docker_containers', 'models', 'interface_addresses', 'time', 'system_info']);
const NEEDY = new Set(['file', 'hash', 'certificates']);
/** Niceness, what osquery has as -1 for unknown, ids as signed numbers. */
const SIGNED = /^(nice|on_disk|last_change|uid_signed|gid_signed|parent|pgroup)$/;

/** Prometheus' text form: each line is a comment or a sample, and no name or help breaks out of it. */
function checkExposition(metrics: ReadonlyMap<string, number>): void {
  const odd = 'a "node"\nkalos_up 1\\';
  const agent = {
    status: () => ({
      metrics: Object.fromEntries(metrics),
      name: odd,
      version: '1',
      swarmId: 'x',
      openIncidents: [],
      samples: 1,
      services: [{ name: odd, state: 'running' }],
    }),
    parts: { membershipAdmin: { members: () => [] }, watcher: { conditions: () => ({ Ready: 'True' }) } },
  } as unknown as Agent;
  for (const line of prometheus(agent).trimEnd().split('\n'))
    holds(
      `/metrics: ${line}`,
      /^# (HELP|TYPE) [a-z_0-9]+ .+$/.test(line) ||
        /^[a-z_0-9]+(\{([a-z]+="([^"\\]|\\.)*",?)+\})? -?\d+(\.\d+)?(e[+-]?\d+)?$/.test(line),
    );
}

it('the corpus has many kinds of machines, and names every metric that may be unknown', () => {
  expect(MACHINES.length).toBeGreaterThanOrEqual(25);
  expect(new Set(MACHINES.map(({ name }) => name)).size).toBe(MACHINES.length);
  const names = METRICS.map(({ name }) => name);
  for (const prefix of MACHINES.flatMap(({ unknown = [] }) => unknown).filter((one) => one !== 'container.'))
    expect(
      names.some((name) => name.startsWith(prefix)),
      prefix,
    ).toBe(true);
});
