// What a node does, counted: `node work.ts NODES`, JSON on standard output. Agents of the deterministic simulator join, are at rest, and have a
// service die on every third machine at once; all that is counted is of one node and one second of a phase. In a process of its own,
// for it counts at prototypes and in the place of the codec.
import { registerHooks } from 'node:module';
import { countAllocations } from './allocations.ts';
import { ALLOCATED, type Work, type WorkOfPhases } from './work-figures.ts';

const COUNTED = new URL('counted-cborg.ts', import.meta.url).href;
const PHASES = [
  { name: 'joining', untilS: 30 },
  { name: 'rest', untilS: 60, fromS: 45 },
  { name: 'storm', untilS: 80 },
] as const;
const SICK_EVERY = 3;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'cborg' && context.parentURL !== COUNTED ? { url: COUNTED, shortCircuit: true } : next(specifier, context),
});

const counts: Work = {};
const count = (kind: string, by = 1): void => {
  counts[kind] = (counts[kind] ?? 0) + by;
};

/** Has `of` counted by `kinds` each time `method` is called on whatever is of that class. */
function meter<Class extends object>(prototype: Class, method: keyof Class, kinds: (given: unknown[]) => void): void {
  const real = prototype[method] as (...given: unknown[]) => unknown;
  prototype[method] = function (this: Class, ...given: unknown[]) {
    kinds(given);
    return real.apply(this, given);
  } as Class[typeof method];
}

const { codec } = (await import(COUNTED)) as typeof import('./counted-cborg.ts');
const { loadScenario } = await import('../../sim/adapters/library.ts');
const { ModelledCrypto } = await import('../../sim/adapters/crypto.ts');
const { makeCluster } = await import('../../sim/run.ts');
const { ProcessClock } = await import('../../sim/machine/clock.ts');
const { SimulatedStore } = await import('../../sim/machine/disk.ts');
const { SimulatedTransport } = await import('../../sim/network/transport.ts');
const { Expressions } = await import('../../node/detection/expressions.ts');
const { History } = await import('../../node/telemetry/history.ts');

/** `sync` of `/kalos/SWARM/sync/3`; the topics' are one letter. */
const nameOf = (protocol: string): string =>
  ({ s: 'gossip status', r: 'gossip roster' })[protocol.split('/')[3] ?? ''] ?? protocol.split('/')[3] ?? '';
const sent = (protocol: unknown, bytes: unknown): void => {
  const name = nameOf(String(protocol));
  count(`messages ${name}`);
  count(`bytes ${name}`, (bytes as Uint8Array).length);
};
meter(SimulatedTransport.prototype, 'send', ([, protocol, bytes]) => sent(protocol, bytes));
meter(SimulatedTransport.prototype, 'request', ([, protocol, bytes]) => sent(protocol, bytes));
meter(SimulatedTransport.prototype, 'publish', ([topic, bytes]) => sent(topic, bytes));
meter(ModelledCrypto.prototype, 'sign', () => count('signatures'));
meter(ModelledCrypto.prototype, 'verify', () => count('verifications'));
meter(ModelledCrypto.prototype, 'hash', () => count('hashes'));
meter(SimulatedStore.prototype, 'write', ([operations]) => {
  count('store writes');
  count('stored records', (operations as unknown[]).length);
});
meter(ProcessClock.prototype, 'after', () => count('timers'));
meter(History.prototype, 'record', ([values]) => count('series', [...(values as Iterable<unknown>)].length));
const compile = Expressions.prototype.compile;
Expressions.prototype.compile = function (...given) {
  const expression = compile.apply(this, given);
  return (bindings) => {
    count('evaluations');
    return expression(bindings);
  };
};

const nodes = Number(process.argv[2] ?? 30);
const cluster = await makeCluster({ scenario: loadScenario('calm'), nodes, seed: 1 });
const totals = (): Work => ({
  ...counts,
  ...codec,
  events: cluster.scheduler.executed,
  messages: cluster.network.messages,
  bytes: cluster.network.bytes,
});
cluster.start();
const phases: WorkOfPhases = {};
let atS = 0;
for (const phase of PHASES) {
  if ('fromS' in phase) await cluster.runUntil(phase.fromS * 1_000);
  if (phase.name === 'storm')
    for (const node of cluster.nodes) if (node.index % SICK_EVERY === 0) node.linux.services.kill('web');
  const fromS = 'fromS' in phase ? phase.fromS : atS;
  const before = totals();
  const allocated = countAllocations();
  await cluster.runUntil(phase.untilS * 1_000);
  const per = nodes * (phase.untilS - fromS);
  const bytes = allocated();
  const done = Object.entries(totals()).map(([kind, total]) => [kind, (total - (before[kind] ?? 0)) / per] as const);
  phases[phase.name] = { ...Object.fromEntries(done.filter(([, each]) => each > 0)), [ALLOCATED]: bytes / per };
  atS = phase.untilS;
}
process.stdout.write(`${JSON.stringify(phases)}\n`);
process.exit(0);
