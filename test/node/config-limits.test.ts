// The limits of each key of the configuration: the last value that is taken, and the first that is not.
import { describe, expect, it } from 'vitest';
import { configSchema } from '../../node/config/config.ts';

type Document = Record<string, unknown>;
const takes = (document: Document): boolean => configSchema.safeParse(document).success;
const web = (given: Document): Document => ({ service: [{ name: 'web', command: ['web'], ...given }] });
const many = (count: number, one: (nth: number) => Document): Document[] => Array.from({ length: count }, (_, nth) => one(nth));
const text = (length: number): string => 'x'.repeat(length);
const policy = (given: Document = {}): Document => ({ name: 'p', when: 'true', summary: 's', ...given });

/** By key: what is still taken at both ends, and what is just beyond. */
const NUMBERS: [key: string, as: (value: number) => Document, least: number, most: number | undefined, step?: number][] = [
  ['issuers', (value) => ({ issuers: value }), 1, 7],
  ['service.port', (value) => web({ port: value }), 1, 65_535],
  ['service.limits.files', (value) => web({ limits: { files: value } }), 1, undefined],
  ['service.limits.processes', (value) => web({ limits: { processes: value } }), 1, undefined],
  ['service.limits.memory_bytes', (value) => web({ limits: { memory_bytes: value } }), 1, undefined],
  ['service.bounds.memory_bytes', (value) => web({ bounds: { memory_bytes: value } }), 1, undefined],
  ['service.bounds.processes', (value) => web({ bounds: { processes: value } }), 1, undefined],
  ['service.bounds.files', (value) => web({ bounds: { files: value } }), 1, undefined],
  ['service.stop.grace_s', (value) => web({ stop: { grace_s: value } }), 0, 600],
  ['service.log_bytes', (value) => web({ log_bytes: value }), 4_096, undefined],
  ['service.check.within_s', (value) => web({ check: { kind: 'silence', within_s: value } }), 1, 86_400],
  ['log.max_bytes', (value) => ({ log: [{ path: '/l', max_bytes: value }] }), 4_096, undefined],
  ['log.keep', (value) => ({ log: [{ path: '/l', max_bytes: 4_096, keep: value }] }), 1, 32],
  ['cleanup.older_than_s', (value) => ({ cleanup: [{ directory: '/d', suffix: '.x', older_than_s: value }] }), 0, undefined],
  ['certificate.renew_days', (value) => ({ certificate: [{ path: '/c', renew_days: value }] }), 0, undefined],
  ['maintenance.minutes', (value) => ({ maintenance: [{ start: '01:00', minutes: value, reason: 'x' }] }), 1, 1_440],
  ['policy_engine.max_rules', (value) => ({ policy_engine: { max_rules: value } }), 1, 1_000],
  ['policy_engine.max_concurrent_executions', (value) => ({ policy_engine: { max_concurrent_executions: value } }), 1, 64],
  ['policy_engine.evaluation_interval', (value) => ({ policy_engine: { evaluation_interval: `${value}ms` } }), 200, 60_000],
  ['ai_engine.anomaly_threshold', (value) => ({ ai_engine: { anomaly_threshold: value } }), 3, 50],
];
/** And how long, or how many. */
const LENGTHS: typeof NUMBERS = [
  ['name', (length) => ({ name: text(length) }), 1, 24],
  ['service', (count) => ({ service: many(count, (nth) => ({ name: `s${nth}`, command: ['x'] })) }), 0, 256],
  ['service.name', (length) => web({ name: text(length) }), 1, 40],
  ['service.command', (count) => web({ command: many(count, () => ({})).map(() => 'x') }), 1, undefined],
  ['service.config', (count) => web({ config: many(count, () => ({})).map((_, nth) => `/c${nth}`) }), 0, 16],
  ['service.alert', (length) => web({ alert: text(length) }), 1, 200],
  ['service.check.text', (length) => web({ check: { kind: 'log', text: text(length) } }), 1, 200],
  ['sysctl', (count) => ({ sysctl: many(count, (nth) => ({ key: `vm.x${nth}`, value: '1' })) }), 0, 256],
  ['file', (count) => ({ file: many(count, (nth) => ({ path: `/f${nth}`, content: '' })) }), 0, 256],
  ['file.content', (length) => ({ file: [{ path: '/f', content: text(length) }] }), 0, 256 * 1024],
  ['log', (count) => ({ log: many(count, (nth) => ({ path: `/l${nth}`, max_bytes: 4_096 })) }), 0, 256],
  ['cleanup', (count) => ({ cleanup: many(count, (nth) => ({ directory: `/d${nth}`, suffix: '.x' })) }), 0, 256],
  ['cleanup.suffix', (length) => ({ cleanup: [{ directory: '/d', suffix: `.${text(length - 1)}` }] }), 2, 64],
  ['certificate', (count) => ({ certificate: many(count, (nth) => ({ path: `/c${nth}` })) }), 0, 256],
  ['resolver', (count) => ({ resolver: many(count, () => ({ servers: ['::1'] })) }), 0, 1],
  ['resolver.servers', (count) => ({ resolver: [{ servers: many(count, () => ({})).map(() => '192.0.2.1') }] }), 1, 3],
  ['resolver.probe', (length) => ({ resolver: [{ servers: ['::1'], probe: text(length) }] }), 1, 253],
  ['maintenance', (count) => ({ maintenance: many(count, () => ({ start: '01:00', minutes: 5, reason: 'x' })) }), 0, 100],
  ['question', (count) => ({ question: many(count, (nth) => ({ name: `q${nth}`, asks: 'x', sql: 'select 1' })) }), 0, 200],
  ['policy', (count) => ({ policy: many(count, (nth) => policy({ name: `p${nth}` })) }), 0, 1_000],
];

describe('a key of the configuration', () => {
  it.each([...NUMBERS, ...LENGTHS])('%s is taken within its limits only', (_key, as, least, most) => {
    expect(takes(as(least)), `${least}`).toBe(true);
    if (least > 0) expect(takes(as(least - 1)), `${least - 1}`).toBe(false);
    if (most === undefined) return;
    expect(takes(as(most)), `${most}`).toBe(true);
    expect(takes(as(most + 1)), `${most + 1}`).toBe(false);
  });

  it('that must be more than nothing may be a part of one', () => {
    for (const key of ['cpus'] as const) {
      expect([web({ limits: { [key]: 0.1 } }), web({ limits: { [key]: 0 } })].map(takes)).toEqual([true, false]);
      expect([web({ bounds: { [key]: 0.1 } }), web({ bounds: { [key]: 0 } })].map(takes)).toEqual([true, false]);
    }
    expect([web({ bounds: { write_bytes_s: 0.1 } }), web({ bounds: { write_bytes_s: 0 } })].map(takes)).toEqual([true, false]);
    expect([web({ limits: { files: 1.5 } }), { issuers: 1.5 }, web({ port: 80.5 })].map(takes)).toEqual([false, false, false]);
  });

  it('has its default', () => {
    const parsed = configSchema.parse({
      log: [{ path: '/l', max_bytes: 4_096 }],
      cleanup: [{ directory: '/d', suffix: '.x' }],
      certificate: [{ path: '/c' }],
      resolver: [{ servers: ['::1'] }],
    });
    expect(parsed).toMatchObject({
      mode: 'observe',
      mdns: true,
      upgrades: false,
      issuers: 3,
      inspect: 'issuers',
      api: { listen: '127.0.0.1:9090' },
      log: [{ keep: 5, maxBytes: 4_096 }],
      cleanup: [{ olderThanS: 3_600 }],
      certificate: [{ renewDays: 14 }],
      resolver: [{ path: '/etc/resolv.conf', probe: 'localhost' }],
    });
  });

  it('that is a time may be written in milliseconds, seconds or minutes', () => {
    const interval = (given: unknown) =>
      configSchema.safeParse({ policy_engine: { evaluation_interval: given } }).data?.policy_engine.evaluation_interval;
    expect(['500ms', '2s', '1m', 2, '0.5s', '2h', '61s', 0.1].map(interval)).toEqual([
      500,
      2_000,
      60_000,
      2_000,
      500,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it.each([
    ['a service with neither a command nor a unit', { service: [{ name: 'web' }] }],
    ['a service with both', web({ unit: 'web.service' })],
    ['a check by http without a port', web({ check: { kind: 'http' } })],
    ['a check by tcp without a port', web({ check: { kind: 'tcp' } })],
    ['fail-over of a unit', { service: [{ name: 'web', unit: 'web.service', failover: true }] }],
    ['fail-over of a task', web({ failover: true, task: true })],
    ['an address that others reach, without a certificate', { api: { listen: '0.0.0.0:9090' } }],
    ['such an address with a certificate and no key', { api: { listen: '0.0.0.0:9090', certificate: '/c' } }],
    ['a port that is none', { listen: '0.0.0.0:65536' }],
    ['an address that is none', { listen: '300.0.0.1:1' }],
    ['a pattern that is none', web({ alert: '(' })],
    ['what is not in this version', { ai_engine: { enabled: true } }],
    ['eBPF', { ebpf: { x: 1 } }],
  ])('is refused: %s', (_what, document) => {
    expect(takes(document)).toBe(false);
  });

  it.each([
    ['a unit', { service: [{ name: 'web', unit: 'web.service' }] }],
    ['a check by http with a port', web({ port: 80, check: { kind: 'http', path: '/x' } })],
    ['fail-over', web({ failover: true })],
    ['an address that others reach, with a certificate', { api: { listen: '0.0.0.0:9090', certificate: '/c', key: '/k' } }],
    ['no page', { api: { listen: 'off' } }],
    ['IPv6', { listen: '[::1]:65535' }],
  ])('is taken: %s', (_what, document) => {
    expect(takes(document)).toBe(true);
  });
});
