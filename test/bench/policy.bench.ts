// How many policies a core judges a second: CEL expressions over metrics, most of them quiet as on a healthy machine, through
// the very detector that an agent runs.
import { policySchema } from '../../node/detection/policy.ts';
import { PolicyDetector } from '../../node/detection/policy-detector.ts';
import { targetsOf } from '../../node/detection/targets.ts';
import { METRICS, readMetrics } from '../../node/telemetry/metrics.ts';
import { FakeLinux } from '../../sim/machine/linux.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

const WARM_UP_MS = 1_000;

/** Of the kinds that people write: a threshold, two of them, a ratio with arithmetic. */
function expression(i: number, names: readonly string[]): string {
  const [a, b] = [`metrics['${names[i % names.length]}']`, `metrics['${names[(i * 7 + 1) % names.length]}']`];
  switch (i % 3) {
    case 0:
      return `${a} > ${1e15 + i}.0`;
    case 1:
      return `${a} > ${1e15 + i}.0 || ${b} < -${i + 1}.0`;
    default:
      return `${a} + ${b} * 2.0 > ${1e16 + i}.0 && ${b} >= 0.0`;
  }
}

async function run({ option, progress }: BenchOptions): Promise<Figures> {
  const rules = option('rules', 1_000);
  const seconds = option('seconds', 10);
  const scheduler = new Scheduler();
  const linux = new FakeLinux(scheduler, new SeededRandom(1, 'linux'), [], { cpus: 4, memoryBytes: 2 ** 33 }, 0);
  const first = linux.sample();
  scheduler.step(1_000);
  const sample = linux.sample();
  const metrics = readMetrics(sample, first);
  const names = METRICS.map(({ name }) => name).filter((name) => metrics.has(name));
  const detector = new PolicyDetector(
    Array.from({ length: rules }, (_, i) =>
      policySchema.parse({ name: `rule-${i}`, when: expression(i, names), summary: 'a rule' }),
    ),
  );
  const observe = (): void =>
    void detector.observe({ nowMs: performance.now(), wallMs: 0, metrics, targets: targetsOf(sample, [], []) });
  progress(`${rules} rules over ${names.length} metrics; ${seconds} s`);
  for (const untilMs = performance.now() + WARM_UP_MS; performance.now() < untilMs; ) observe();
  let rounds = 0;
  const startMs = performance.now();
  for (; performance.now() - startMs < seconds * 1_000; rounds++) observe();
  const perSecond = (rounds * rules * 1_000) / (performance.now() - startMs);
  return {
    rows: [['policy evaluations a second, one core', `${Math.round(perSecond).toLocaleString('en')}`, '']],
    keys: { evals_per_s: perSecond, rules },
    unmeasured: [],
  };
}

export const policy: Bench = { name: 'policy', description: 'CEL policies judged a second, with 1,000 rules', run };
