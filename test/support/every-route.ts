// A request for every route of the local API, in an order in which most of them have something to answer.
import type { Route } from '../../node/api/route.ts';

export interface Asked {
  /** The route's own path where it is not given. */
  path?: string;
  body?: unknown;
  /** 200 where it is not given. */
  status?: number;
}

/** What is known of the agent that is asked. */
export interface Known {
  name: string;
  peer: string;
  incident: string;
  series: string;
}

type RouteName = `${Route['method']} ${string}`;
/** By method and path; each may look at what was answered before. */
export type Requests = Record<RouteName, Asked | ((answered: (route: RouteName) => never) => Asked)>;

const reason = 'a test';
const policy = {
  name: 'of-a-test',
  when: 'false',
  summary: 'never so',
  threshold: { busy: { metric: 'system.cpu.utilization', low: 0.5, high: 0.9 } },
};
const remedied = {
  ...policy,
  name: 'of-a-test-too',
  scope: 'service',
  remedy: [{ when: 'true', do: { tool: 'service.restart' } }],
};
const RESTART = { calls: [{ tool: 'service.restart', service: 'teller' }], reason, dryRun: false };

export const requestsOf = ({ name, peer, incident, series }: Known): Requests => ({
  'GET /v1/status': {},
  'GET /v1/overview': {},
  'GET /v1/recovery': {},
  'GET /v1/members': {},
  'GET /v1/members/all': {},
  'GET /v1/members/{name}': { path: `/v1/members/${name}` },
  'GET /v1/traffic': {},
  'POST /v1/members/{name}/revocation': { path: `/v1/members/${name}/revocation`, body: { reason }, status: 409 },
  'POST /v1/members/{name}/name': { path: `/v1/members/${name}/name`, body: { name } },
  'POST /v1/tokens': { body: { uses: 2 } },
  'GET /v1/tokens': {},
  'POST /v1/tokens/{id}/removal': (answered) => {
    const [token] = answered('GET /v1/tokens') as { id: string }[];
    return { path: `/v1/tokens/${token?.id}/removal` };
  },
  'POST /v1/network-key': { body: {}, status: 409 },
  'POST /v1/root/draft': { body: { kind: 'operator', name: 'ann', key: peer } },
  'POST /v1/root/commit': (answered) => {
    const { kind, body } = answered('POST /v1/root/draft') as { kind: string; body: string };
    return { body: { kind, body, signatures: [] } };
  },
  'GET /v1/operators': {},
  'POST /v1/log': { body: { read: 'linearizable' } },
  'POST /v1/pause': { body: { node: name, reason } },
  'POST /v1/drain': { body: { node: name, forMs: 60_000, reason } },
  'POST /v1/swarm-silences': { body: { target: 'nobody', forMs: 60_000, reason } },
  'GET /v1/nova': {},
  'POST /v1/nova/read': { body: { read: 'lease' } },
  'POST /v1/log/{index}': (answered) => ({
    path: `/v1/log/${(answered('POST /v1/pause') as { index: number }).index}`,
    body: {},
  }),
  'POST /v1/swarm-silences/lift': (answered) => {
    const { silences } = answered('GET /v1/nova') as { silences: { id: string }[] };
    return { body: { silence: silences[0]?.id } };
  },
  'POST /v1/wake': { body: { node: name, reason } },
  'POST /v1/undrain': { body: { node: name, reason } },
  'POST /v1/nova/transfer': { body: { node: 'nobody' }, status: 404 },
  'POST /v1/placements/move': { body: { service: 'nothing', reason }, status: 404 },
  'POST /v1/pardon': { body: { node: name, reason }, status: 409 },
  'POST /v1/bundles': { body: { policies: [policy], soakMs: 10_000 } },
  'GET /v1/bundles': {},
  'POST /v1/bundles/withdraw': { body: { reason } },
  'POST /v1/upgrades': { body: { archive: 'AAAA' }, status: 400 },
  'GET /v1/upgrades': {},
  'POST /v1/upgrades/withdraw': { body: { reason }, status: 404 },
  'POST /v1/grants': { body: { effect: 'deny', node: name, tool: 'service.stop', forMs: 60_000, reason } },
  'GET /v1/grants': {},
  'POST /v1/grants/revoke': (answered) => {
    const { grants } = answered('GET /v1/grants') as { grants: { id: string }[] };
    return { body: { grant: grants[0]?.id, reason } };
  },
  'POST /v1/budgets': { body: { of: { each: true }, changes: 10, withinMs: 60_000, reason } },
  'GET /v1/budgets': {},
  'POST /v1/budgets/lift': { body: { of: { each: true }, reason } },
  'POST /v1/changes/draft': { body: { calls: RESTART.calls, reason } },
  'POST /v1/changes/commit': (answered) => ({ body: answered('POST /v1/changes/draft'), status: 409 }),
  'GET /v1/config': {},
  'GET /v1/agent-log/{after}': { path: '/v1/agent-log/0' },
  'POST /v1/config/reload': {},
  'POST /v1/api-tokens': { body: { name: 'ops', ttlMs: 60_000 } },
  'GET /v1/api-tokens': {},
  'POST /v1/api-tokens/{id}/removal': (answered) => {
    const [token] = answered('GET /v1/api-tokens') as { id: string }[];
    return { path: `/v1/api-tokens/${token?.id}/removal` };
  },
  'POST /v1/query': { body: { sql: 'select node, pid, resident_size from processes limit 3' } },
  'GET /v1/questions': {},
  'GET /v1/tables': {},
  'GET /v1/series': { path: '/v1/series?limit=3' },
  'GET /v1/series/{name}': { path: `/v1/series/${series}` },
  'GET /v1/cases': {},
  'GET /v1/incidents': { path: '/v1/incidents?limit=1000' },
  'GET /v1/incidents/{id}/recording': { path: `/v1/incidents/${incident}/recording` },
  'GET /v1/incidents/{id}/explanation': { path: `/v1/incidents/${incident}/explanation` },
  'POST /v1/policies': { body: { policies: [policy, remedied] } },
  'GET /v1/policies': {},
  'POST /v1/policies/{name}/reset': { path: `/v1/policies/${policy.name}/reset` },
  'POST /v1/policies/{name}/removal': { path: `/v1/policies/${policy.name}/removal` },
  'GET /v1/tools': {},
  'POST /v1/actions': { body: RESTART },
  'POST /v1/actions/{id}/rollback': (answered) => ({
    path: `/v1/actions/${(answered('POST /v1/actions') as { plan: string }).plan}/rollback`,
    status: 409,
  }),
  'POST /v1/approvals/{id}': { path: '/v1/approvals/nothing', body: { answer: 'approved' }, status: 404 },
  'POST /v1/silences': { body: { target: 'teller', forMs: 60_000, reason } },
  'POST /v1/silences/{id}/lift': (answered) => ({
    path: `/v1/silences/${(answered('POST /v1/silences') as { id: string }).id}/lift`,
  }),
  'POST /v1/halt': { body: { reason } },
  'POST /v1/resume': {},
  'GET /v1/audit/standing': {},
  'GET /v1/audit/verification': {},
  'GET /v1/audit/records/last/{count}': { path: '/v1/audit/records/last/50' },
  'GET /v1/audit/records/{index}/proof': { path: '/v1/audit/records/1/proof' },
  'GET /v1/audit/consistency/{size}': { path: '/v1/audit/consistency/2' },
  'POST /v1/leave': { body: { force: 'perhaps' }, status: 400 },
  'POST /v1/stop': {},
});
