// Where a key of the configuration stands: the line of a TOML file, and the layer that it comes from.
import { describe, expect, it } from 'vitest';
import { isLoopback } from '../../node/config/address.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { listenAddress, resolveConfig } from '../../node/config/config.ts';
import { entriesOf, wholeEntriesOf } from '../../node/config/entries.ts';
import { mergeLayers, nameOf, originOf, placeIn, valueAt } from '../../node/config/layers.ts';
import { lineOf } from '../../node/config/lines.ts';

describe('the line of a key', () => {
  const text = [
    'mode = "act"', // 1
    '"quoted key" = 1', // 2
    'api.listen = "off"', // 3
    '',
    '[policy_engine] # a table', // 5
    '  max_rules = 3', // 6
    "[ai_engine.'inner']", // 7
    'text = """', // 8
    'max_rules = 4', // within the text
    '"""', // 10
    "short = '''on one line'''", // 11
    'after = 1', // 12
    '[[service]]', // 13
    'name = "web"', // 14
    '[service.environment]', // 15
    'A = "b"', // 16
    '[[service]]', // 17
    'name = "db"', // 18
    '[[service.check]]', // 19
    'kind = "tcp"', // 20
    'not a key', // 21
  ].join('\n');

  it.each<[(string | number)[], number | undefined]>([
    [['mode'], 1],
    [['mode', 'below'], 1],
    [['quoted key'], 2],
    [['api', 'listen'], 3],
    [['api', 'key'], undefined],
    [['policy_engine'], 5],
    [['policy_engine', 'max_rules'], 6],
    [['policy_engine', 'other'], 5],
    [['ai_engine', 'inner', 'text'], 8],
    [['ai_engine', 'inner', 'max_rules'], 7],
    [['ai_engine', 'inner', 'short'], 11],
    [['ai_engine', 'inner', 'after'], 12],
    [['service', 0], 13],
    [['service', 0, 'name'], 14],
    [['service', 0, 'environment', 'A'], 16],
    [['service', 0, 'environment', 'B'], 15],
    [['service', 1], 17],
    [['service', 1, 'name'], 18],
    [['service', 1, 'environment'], 17],
    [['service', 2], undefined],
    [['max_rules'], undefined],
    [['nothing'], undefined],
    [[], undefined],
  ])('%o is %o', (path, line) => {
    expect(lineOf(text, path)).toBe(line);
  });
});

describe('layers', () => {
  const layers = [
    {
      origin: '/etc/kalos.toml',
      text: 'mode = "observe"\n[api]\nlisten = "off"\n[[service]]\nname = "web"\n[[service]]\nname = "db"\n',
      document: { mode: 'observe', api: { listen: 'off' }, service: [{ name: 'web', port: 1 }, { name: 'db' }] },
    },
    {
      origin: '/own.toml',
      text: '\n[[service]]\nname = "cache"\n\n[[service]]\nname = "web"\nport = 2\n[api]\nkey = "/k"\n',
      document: { service: [{ name: 'cache' }, { name: 'web', port: 2 }], api: { key: '/k' }, announce: ['/a'] },
    },
    { origin: 'flags', document: { mode: 'act', name: undefined, announce: ['/b'] } },
  ];
  const merged = mergeLayers(layers);

  it('merge tables key by key and lists of tables by name; anything else is replaced', () => {
    expect(merged.document).toEqual({
      mode: 'act',
      api: { listen: 'off', key: '/k' },
      service: [{ name: 'db' }, { name: 'cache' }, { name: 'web', port: 2 }],
      announce: ['/b'],
    });
  });

  it.each<[(string | number)[], string | undefined, string | undefined]>([
    [['mode'], 'flags', 'flags'],
    [['api', 'listen'], '/etc/kalos.toml', '/etc/kalos.toml:3'],
    [['api', 'key'], '/own.toml', '/own.toml:9'],
    [['api'], '/own.toml', '/own.toml:8'],
    [['service', 0], '/etc/kalos.toml', '/etc/kalos.toml:6'],
    [['service', 0, 'name'], '/etc/kalos.toml', '/etc/kalos.toml:7'],
    [['service', 1], '/own.toml', '/own.toml:2'],
    [['service', 2, 'port'], '/own.toml', '/own.toml:7'],
    [['service', 9], '/own.toml', '/own.toml'],
    [['announce', 0], 'flags', 'flags'],
    [['name'], undefined, undefined],
    [[], undefined, undefined],
  ])('say that %o is of %s, at %s', (path, origin, place) => {
    expect([originOf(merged, path), placeIn(layers, merged, path)]).toEqual([origin, place]);
  });

  it('name an item by what it has first, and an item without a name not', () => {
    const items = [
      { key: 'k', name: 'n' },
      { key: 'k' },
      { path: '/p' },
      { directory: '/d' },
      { start: '00:00' },
      { name: 1 },
      {},
      'x',
      null,
      [1],
    ];
    expect(items.map(nameOf)).toEqual(['n', 'k', '/p', '/d', '00:00', undefined, undefined, undefined, undefined, undefined]);
    const unnamed = mergeLayers([
      { origin: 'a', document: { log: [{ x: 1 }, { x: 2 }] } },
      { origin: 'b', document: { log: [{ x: 3 }] } },
    ]);
    expect(unnamed.document.log).toEqual([{ x: 1 }, { x: 2 }, { x: 3 }]);
    const twice = mergeLayers([{ origin: 'a', document: { log: [{ path: '/x' }, { path: '/x' }] } }]);
    expect(twice.document.log).toHaveLength(2);
    const replaced = mergeLayers([
      { origin: 'a', document: { api: 'x', log: { path: '/x' } } },
      { origin: 'b', document: { api: { key: 'k' }, log: [{ path: '/y' }] } },
    ]);
    expect(replaced.document).toEqual({ api: { key: 'k' }, log: [{ path: '/y' }] });
  });

  it('have a value at each place that there is', () => {
    expect([
      valueAt(merged, ['service', 2, 'port']),
      valueAt(merged, ['mode', 'length']),
      valueAt(merged, ['gone', 'further']),
      valueAt(merged, []),
    ]).toEqual([2, undefined, undefined, merged.document]);
  });
});

describe('the configuration key by key', () => {
  it('shows each with its origin, defaults too, and no secret', () => {
    const layers = [
      {
        origin: '/own.toml',
        document: {
          join: ['/ip4/192.0.2.1/tcp/7700', 'kalos1.secret'],
          api: { key: '/k' },
          service: [{ name: 'web', environment: { TOKEN: 'secret' } }, { command: ['x'] }],
          sysctl: [],
        },
      },
    ];
    const shown = Object.fromEntries(entriesOf(layers).map(({ key, value, origin }) => [key, [value, origin]]));
    expect(shown).toMatchObject({
      mode: ['observe', 'default'],
      join: [['/ip4/192.0.2.1/tcp/7700', '(hidden)'], '/own.toml'],
      'api.listen': ['127.0.0.1:9090', 'default'],
      'api.key': ['/k', '/own.toml'],
      'agent_log.level': ['info', 'default'],
      'service.web.name': ['web', '/own.toml'],
      'service.web.environment': [{ TOKEN: '(hidden)' }, '/own.toml'],
      'service.1.command': [['x'], '/own.toml'],
      sysctl: [[], '/own.toml'],
    });
    expect([shown.announce, shown.policy]).toEqual([undefined, undefined]);
    expect(JSON.stringify(shown)).not.toContain('secret');
    expect(wholeEntriesOf(layers).find(({ key }) => key === 'service.web.environment')).toMatchObject({
      bare: { TOKEN: 'secret' },
      item: 'service.web',
    });
    const odd = entriesOf([{ origin: 'a', document: { service: [{ name: 'web', environment: 'secret' }] } }]);
    expect(odd.find(({ key }) => key === 'service.web.environment')?.value).toBe('(hidden)');
  });
});

describe('what an agent is made of', () => {
  it('has the certificate of a service at its port, unless it says where', () => {
    const one = { path: '/etc/c.pem', reload: 'web' };
    const document = {
      service: [
        { name: 'web', command: ['web'], port: 8443 },
        { name: 'db', command: ['db'] },
      ],
      certificate: [
        one,
        { ...one, path: '/etc/d.pem', served_at: 'host:443', renew_days: 3 },
        { ...one, path: '/etc/e.pem', reload: 'db' },
        { path: '/etc/f.pem' },
      ],
    };
    const { declared } = agentSettings(resolveConfig([{ origin: 'test', document }]));
    expect(declared.certificates.map(({ path, renewDays, servedAt }) => [path, renewDays, servedAt])).toEqual([
      ['/etc/c.pem', 14, { host: '127.0.0.1', port: 8_443 }],
      ['/etc/d.pem', 3, { host: 'host', port: 443 }],
      ['/etc/e.pem', 14, undefined],
      ['/etc/f.pem', 14, undefined],
    ]);
  });

  it('has what is declared, and policies by their origin', () => {
    const document = {
      mode: 'act',
      issuers: 5,
      inspect: 'nobody',
      failure_domain: 'rack-1',
      policy_engine: { evaluation_interval: '500ms', max_rules: 7, max_concurrent_executions: 2 },
      ai_engine: { anomaly_threshold: 9 },
      sysctl: [{ key: 'vm.swappiness', value: 10 }],
      file: [{ path: '/etc/x', content: 'c', mode: '644', reload: 'web' }],
      log: [{ path: '/var/log/x', max_bytes: 4_096, alert: 'x' }],
      cleanup: [{ directory: '/var/cache/x', suffix: '.tmp' }],
      resolver: [{ servers: ['192.0.2.1'] }],
      service: [{ name: 'web', command: ['web'] }],
      policy: [{ name: 'mine', when: 'true', summary: 's' }],
    };
    const settings = agentSettings(resolveConfig([{ origin: 'test', document }]));
    expect(settings).toMatchObject({
      ...{ mode: 'act', domain: 'rack-1', issuers: 5, inspect: 'nobody', maintenance: [], questions: [] },
      engine: { intervalMs: 500, maxRules: 7, maxConcurrent: 2, anomalyThreshold: 9 },
    });
    expect(settings.declared).toEqual({
      sysctls: [{ key: 'vm.swappiness', value: '10' }],
      files: [{ path: '/etc/x', content: 'c', mode: '644', reload: 'web' }],
      logs: [{ path: '/var/log/x', maxBytes: 4_096, keep: 5, reload: undefined, alert: 'x' }],
      cleanups: [{ directory: '/var/cache/x', suffix: '.tmp', olderThanS: 3_600 }],
      certificates: [],
      resolvers: [{ path: '/etc/resolv.conf', servers: ['192.0.2.1'], probe: 'localhost' }],
    });
    const origins = settings.policies.map(({ origin }) => origin);
    expect([new Set(origins.slice(0, -1)), origins.at(-1), settings.policies.at(-1)?.policy.name]).toEqual([
      new Set(['shipped']),
      'own',
      'mine',
    ]);
  });
});

describe('an address', () => {
  it('reaches this machine alone, or others', () => {
    const own = ['127.0.0.1', '127.1.2.3:80', 'localhost', 'localhost:9090', '[::1]', '[::1]:1'];
    const others = ['127.0.0.1.example.org', '10.0.0.1', '0.0.0.0:80', 'localhosts', 'my-localhost', '::1', '[::2]', '127.0.0'];
    expect([own.every(isLoopback), others.filter(isLoopback)]).toEqual([true, []]);
  });

  it('becomes a multiaddr', () => {
    expect([listenAddress('10.0.0.1:7700'), listenAddress('[fd00::1]:80')]).toEqual([
      '/ip4/10.0.0.1/tcp/7700',
      '/ip6/fd00::1/tcp/80',
    ]);
  });
});
