// The healer over parts that answer as they are made to, in virtual time: what it asks of them and tells is written down.
import { createHash } from 'node:crypto';
import type { Claim } from '../../consensus/vote/claim.ts';
import type { VoteResult } from '../../consensus/vote/voting.ts';
import type { Performed, Purpose } from '../../node/agent/executor.ts';
import { Healer } from '../../node/agent/healer.ts';
import type { LoopParts } from '../../node/agent/incident-loop.ts';
import type { PlacedServices } from '../../node/coordination/placed-services.ts';
import type { Plan } from '../../node/decision/plan.ts';
import type { Finding } from '../../node/detection/detector.ts';
import type { Incident } from '../../node/detection/incident.ts';
import { Memory } from '../../node/memory/memory.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { PlainStore } from './store.ts';
import { pass } from './virtual.ts';

export const FINDING: Finding = {
  policy: 'service-exited',
  target: 'web',
  severity: 'critical',
  summary: 'the service has exited',
  condition: 'ServicesReady',
  claim: 'service-down',
  remedies: [[{ tool: 'service.start', service: 'web' }]],
  evidence: {},
};
type Held = Extract<Performed, { kind: 'held' }>['verdict'];
type Answer = { phase: 'confirmed' | 'undone' | 'failed'; reason?: string } | Held;

export function healing(
  given: { finding?: Partial<Finding>; handedOver?: Awaited<ReturnType<PlacedServices['handOver']>>; outcome?: string } = {},
) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler, () => 1_700_000_000_000 + its.wallStepMs);
  const finding = { ...FINDING, ...given.finding };
  const its = {
    firing: [finding] as Finding[],
    silence: undefined as string | undefined,
    paused: undefined as string | undefined,
    brake: undefined as string | undefined,
    taken: false,
    mayLease: true,
    /** What the wall clock was set by. */
    wallStepMs: 0,
    suspects: '',
    /** Whether what was found still holds, where it is not as `firing` says. */
    holds: undefined as boolean | undefined,
    features: undefined as number[] | undefined,
    services: [] as unknown[],
    /** What a vote brings beside its outcome. */
    vote: {} as Partial<VoteResult>,
    /** What comes of each plan; the last of them again and again. */
    answers: [{ phase: 'confirmed' }] as Answer[],
    onVote: (): void => undefined,
    onPerform: async (_purpose: Purpose, _plan: Plan): Promise<void> => undefined,
  };
  const log = {
    plans: [] as { id: string; atS: number; tool: string }[],
    votes: 0,
    withdrawn: [] as string[],
    told: [] as Incident[],
    claims: [] as Claim[],
    lines: [] as string[],
    /** Findings that are to be said again where they still hold. */
    rearmed: [] as string[],
    /** How often the machine was looked at out of turn. */
    looks: 0,
    handedOver: [] as string[],
  };
  const memory = new Memory(new PlainStore());
  const parts = {
    ports: {
      clock,
      crypto: { hash: (bytes: Uint8Array) => createHash('sha256').update(bytes).digest() },
      actuator: { services: () => its.services },
      compute: { classify: async () => undefined },
    },
    decisions: { state: { silenceOn: () => undefined }, wallMs: () => clock.wallMs() },
    link: {
      members: { self: 'self', nameOf: (peer: string) => peer },
      admission: { name: 'here' },
      time: { claimMs: () => clock.wallMs() },
      selection: { witnesses: () => ['w'] },
      ballots: {
        vote: async (claim: Claim) => {
          log.votes++;
          log.claims.push(claim);
          await new Promise<void>((resolve) => clock.after(100, resolve));
          its.onVote();
          const witnesses = given.outcome === undefined ? [] : ['w'];
          return {
            claimId: 'claim',
            claim: {},
            outcome: given.outcome ?? 'undecided',
            witnesses,
            votes: [],
            certificate: undefined,
            ...its.vote,
          };
        },
      },
    },
    watcher: {
      detectors: {
        firing: () => its.firing,
        holds: () => its.holds ?? its.firing.length > 0,
        rearm: ({ policy, target }: Incident) => void log.rearmed.push(`${policy} ${target}`),
      },
      samples: { features: () => its.features, suspects: () => its.suspects, recording: () => new Uint8Array() },
      lookAgain: () => void log.looks++,
    },
    memory,
    stories: { tell: (incident: Incident) => void log.told.push(structuredClone(incident)) },
    executor: {
      brakes: {
        silence: () => its.silence && `silenced: ${its.silence} (s1)`,
        get paused() {
          return its.paused;
        },
        standing: () => its.brake,
      },
      slots: { refusal: () => (its.taken ? 'taken' : undefined) },
      approvals: { answerAll: (_answer: string, id: string) => void log.withdrawn.push(id) },
      perform: async (plan: Plan, _authority: string, purpose: Purpose): Promise<Performed> => {
        log.plans.push({ id: plan.id, atS: Math.round(clock.monotonicMs() / 1_000), tool: plan.calls[0]?.tool ?? '' });
        await its.onPerform(purpose, plan);
        const answer = (its.answers.length > 1 ? its.answers.shift() : its.answers[0]) ?? { phase: 'confirmed' };
        if ('kind' in answer) return { kind: 'held', verdict: answer, diff: ['start web'] } as Performed;
        const entry = { plan, before: [], phase: answer.phase, atMs: 0, reason: answer.reason ?? 'seen' };
        return { kind: 'done', entry, record: { index: 1 } } as unknown as Performed;
      },
    },
    permits: { mayLease: () => its.mayLease, encoded: ({ lease }: { lease: string }) => `encoded ${lease}` },
    placed: {
      isHere: () => given.handedOver !== undefined,
      handOver: async (service: string, reason: string, say: (text: string) => void) => {
        log.handedOver.push(`${service}: ${reason}`);
        say('asks the others');
        return given.handedOver;
      },
    },
    services: [{ name: 'web', port: 80, check: { kind: 'http', path: '/web' } }],
    reporter: {
      log: (level: string, text: string) => void log.lines.push(`${level}: ${text}`),
      failed: (error: unknown) => {
        throw error;
      },
    },
  };
  const healer = new Healer(parts as unknown as LoopParts);
  const fire = (): void => healer.onChanges([{ kind: 'fired', finding }]);
  const clear = (): void => {
    its.firing = [];
    healer.onChanges([{ kind: 'cleared', finding }]);
  };
  const story = (): string[] => (memory.incidents()[0]?.steps ?? []).map(({ stage, text }) => `${stage}: ${text}`);
  const end = (): string =>
    memory
      .incidents()
      .map(({ state, outcome }) => `${state}: ${outcome}`)
      .join('; ');
  return {
    healer,
    its,
    log,
    memory,
    finding,
    fire,
    clear,
    story,
    end,
    nowMs: () => clock.monotonicMs(),
    sleep: (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve)),
    pump: (ms: number) => pass(scheduler, ms),
  };
}
