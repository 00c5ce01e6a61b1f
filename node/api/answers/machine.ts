// Answers of the local API about this agent and its machine. Each schema is checked against the agent's types (by the compiler) and
// against real answers (test/node/openapi.test.ts).
import { z } from 'zod';
import { CONDITION_STATUSES, STATUS_CONDITIONS } from '../../../swarm/state/status.ts';
import { MODES } from '../../action/guard.ts';
import { silenceSchema } from '../../action/silences.ts';
import { RISK_CLASSES } from '../../action/tool.ts';
import { ORIGINS } from '../../agent/policies.ts';
import { policySchema } from '../../detection/policy.ts';
import { LOG_LEVELS } from '../../log-levels.ts';
import { caseSchema } from '../../memory/cases.ts';
import { questionSchema } from '../../query/pack.ts';
import { bytes, count, milliseconds, node, peer, wallMs } from './units.ts';

export const memberStates = z.enum(['joining', 'alive', 'unreachable', 'down', 'left']);

export const silenceAnswer = silenceSchema.meta({ id: 'Silence' });

export const statusAnswer = z
  .strictObject({
    name: node,
    peer,
    swarmId: z.string(),
    version: z.string().describe('Version of KALOS'),
    mode: z.enum(MODES).describe('observe: it watches; advise: it proposes; act: it repairs'),
    halted: z.string().nullable().describe('Why actions are halted; null if they are not'),
    twin: z.string().nullable().describe('Another agent with the same key, and its place; null if none is known'),
    refusal: z.string().nullable().describe('Why the disk of the state directory refuses writes; null while it accepts them'),
    uptimeMs: milliseconds,
    page: z.string().nullable().describe('URL of its page; null if it has none'),
    addresses: z.array(z.string()),
    coordinator: z.string().optional(),
    uncoordinated: z.string().nullable().describe('Why the swarm has no leader, and what to do; null while it has one'),
    term: count,
    members: z.array(z.strictObject({ name: node, peer, state: memberStates, role: z.enum(['coordinator', 'member']) })),
    conditions: z.record(z.enum(STATUS_CONDITIONS), z.enum(CONDITION_STATUSES)),
    sensors: z.string(),
    samples: count.describe('Samples since the start'),
    series: count.describe('Series that are kept'),
    seriesBytes: bytes,
    metrics: z.record(z.string(), z.number()).describe('By name; ratios are 0 to 1, pressure is in percent'),
    services: z.array(
      z.strictObject({
        name: z.string(),
        state: z.enum(['stopped', 'running', 'exited']),
        pid: z.number().int().nullable(),
        health: z
          .enum(['open', 'refused', 'silent', 'failed', 'undeclared', 'unknown'])
          .describe('Result of its check; failed: it reports itself unhealthy'),
        why: z.string().describe('Why it is not running; else empty'),
      }),
    ),
    openIncidents: z.array(z.strictObject({ id: z.string(), summary: z.string(), target: z.string(), state: z.string() })),
    approvals: z.array(z.strictObject({ id: z.string(), incident: z.string(), diff: z.array(z.string()), expiresMs: wallMs })),
    silences: z.array(silenceAnswer),
    unseen: z.array(z.strictObject({ name: z.string(), reason: z.string() })).describe('Declared but unavailable'),
    auditRecords: count,
  })
  .meta({ id: 'Status' });

const lastMinute = z.array(z.number()).describe('At most a minute, one value per second, oldest first');
export const overviewAnswer = z
  .strictObject({
    series: z.strictObject({
      cpu: lastMinute,
      memory: lastMinute,
      psiCpu: lastMinute,
      psiMemory: lastMinute,
      psiIo: lastMinute,
      diskWrite: lastMinute,
      receive: lastMinute,
      transmit: lastMinute,
    }),
    processes: z.array(
      z.strictObject({
        pid: z.number().int(),
        name: z.string(),
        state: z.string().describe('As in proc(5)'),
        cpu: z.number().describe('In CPUs: 1 is one core'),
        rssBytes: bytes,
        threads: count,
      }),
    ),
    incidents: z.array(
      z.strictObject({
        id: z.string(),
        summary: z.string(),
        target: z.string(),
        state: z.string(),
        outcome: z.string(),
        openedMs: wallMs,
        closedMs: wallMs.describe('Wall clock, ms; 0 while it is open'),
      }),
    ),
    doing: z.string().describe('The newest step of the newest incident, as text'),
  })
  .meta({ id: 'Overview' });

export const agentLogAnswer = z.strictObject({
  last: count.describe('Number of the newest line'),
  entries: z.array(z.strictObject({ seq: count, atMs: wallMs, level: z.enum(LOG_LEVELS), text: z.string() })),
});

export const configurationAnswer = z
  .array(z.strictObject({ key: z.string(), value: z.unknown(), origin: z.string() }))
  .describe('The keys with their values and origins; secrets are hidden');
export const reloadAnswer = z.strictObject({
  taken: z.boolean().describe('false: the new configuration has an error, and the old one stays in force'),
  lines: z.array(z.string()).describe('Changes, keys that need a restart, or errors'),
});

const cell = z.union([z.string(), z.number(), z.null()]).describe('An integer beyond ±(2^53 − 1) is a string of its digits');
export const queryAnswer = z
  .strictObject({
    columns: z.array(z.string()),
    rows: z.array(z.array(cell)),
    mode: z.enum(['local', 'live']),
    epoch: count.describe('The newest term of the election that this agent knows'),
    rosterEpoch: count,
    index: count.describe('Index of the newest decision that this agent knows; 0 if none'),
    expected: count.describe('Members queried'),
    answered: count,
    missing: z.array(z.strictObject({ node, peer, reason: z.string() })),
    truncated: z.array(z.strictObject({ node, table: z.string() })).describe('Tables whose rows were truncated'),
    ages: z.record(z.string(), z.number()).describe('By member: ms that its answer took, the maximum age of its rows'),
    tookMs: milliseconds,
  })
  .meta({ id: 'QueryAnswer' });
export const questionsAnswer = z.array(questionSchema.meta({ id: 'Question' }));
export const tablesAnswer = z.array(
  z
    .strictObject({
      name: z.string(),
      scope: z.enum(['swarm', 'machine']),
      description: z.string(),
      columns: z.array(z.strictObject({ name: z.string(), type: z.enum(['TEXT', 'INTEGER', 'REAL']), description: z.string() })),
      examples: z.array(z.string()),
      needs: z.array(z.string()).describe('One of these columns needs a constraint'),
    })
    .meta({ id: 'Table' }),
);

const past = z
  .strictObject({
    stepS: z.number().describe('Seconds between two values'),
    atS: z.number().describe('Wall clock of the newest, in seconds'),
    values: z.array(z.number().nullable()).describe('Oldest first; null if there is no value'),
  })
  .meta({ id: 'Past' });
export const seriesAnswer = z
  .strictObject({ fine: past, coarse: z.strictObject({ mean: past, most: past }).optional() })
  .describe('fine: ten minutes by second; coarse: six hours by minute, for the metrics of the catalogue');

export const caseAnswer = caseSchema.meta({ id: 'Case' });

const call = z.record(z.string(), z.union([z.string(), z.number()])).describe('The tool, and its arguments by name');
const knownPolicy = policySchema.extend({
  remedy: z.array(z.strictObject({ when: z.string().optional(), do: z.array(call) })),
});
export const policiesAnswer = z.array(
  z
    .strictObject({
      policy: knownPolicy,
      origin: z.enum(ORIGINS),
      thresholds: z.record(
        z.string(),
        z.strictObject({
          metric: z.string(),
          times: z.number(),
          low: z.number(),
          high: z.number(),
          value: z.number().describe('Current value'),
          median: z.number().optional(),
          spread: z.number().optional(),
        }),
      ),
    })
    .meta({ id: 'KnownPolicy' }),
);

export const toolsAnswer = z.array(
  z
    .strictObject({
      name: z.string(),
      version: z.number(),
      description: z.string(),
      capability: z.string().describe('The primitive that the actuator must be allowed'),
      risks: z.array(z.enum(RISK_CLASSES)).describe('The risk classes that it can have, depending on its target'),
      input: z.record(z.string(), z.unknown()).describe('A JSON schema'),
      kind: z.enum(['read', 'change']),
      blastRadius: z.string().optional(),
      verification: z.strictObject({ condition: z.string(), stableMs: z.number(), windowMs: z.number() }).optional(),
      timeoutMs: milliseconds.optional(),
      rate: z.strictObject({ uses: z.number(), withinMs: z.number() }).optional(),
    })
    .meta({ id: 'Tool' }),
);

/** The result of a manual call, as the command line shows it. */
export const actAnswer = z
  .strictObject({
    plan: z.string().describe('Id of the plan; empty if none was started'),
    result: z
      .string()
      .describe(
        'confirmed, undone or failed if it was executed; read; dry-run; or the guard’s verdict: refused, escalate, shown',
      ),
    detail: z.string(),
    diff: z.array(z.string()).describe('Its changes, one per line'),
    risk: z.string().describe('R0 to R3: the highest of the calls'),
    undo: z.string().describe('The undo call; empty if there is none'),
    value: z.unknown().optional().describe('Output of a read-only tool'),
  })
  .meta({ id: 'ActAnswer' });
export type ActAnswer = z.infer<typeof actAnswer>;

export const auditRecords = z.array(
  z
    .strictObject({
      index: z.number().int(),
      atMs: wallMs,
      kind: z.enum(['start', 'intent', 'outcome', 'refused', 'control']),
      subject: z.string().describe('The incident, plan or agent of the record'),
      text: z.string(),
    })
    .meta({ id: 'AuditRecord' }),
);
export const auditVerification = z.discriminatedUnion('ok', [
  z.strictObject({ ok: z.literal(true), records: count, root: z.string().describe('Hex') }),
  z.strictObject({ ok: z.literal(false), index: z.number().int().describe('The invalid record'), reason: z.string() }),
]);
export const apiTokensAnswer = z.array(
  z
    .strictObject({ id: z.string(), name: z.string(), scope: z.enum(['read', 'operate', 'admin']), untilMs: wallMs })
    .meta({ id: 'ApiToken' }),
);
