// What a witness can say of a claim: by the declared check, by whether anybody listens, by the status that it holds; else it abstains.
import { describe, expect, it } from 'vitest';
import type { Claim, ClaimKind } from '../../consensus/vote/claim.ts';
import { type Evidence, gatherEvidence, remoteCheckOf } from '../../node/link/evidence.ts';
import type { ServiceSpec } from '../../node/ports/actuator.ts';
import type { HttpState, PortState, Transport } from '../../swarm/ports/transport.ts';
import type { StatusTable } from '../../swarm/state/status-table.ts';

const claimOf = (kind: ClaimKind, given: Partial<Claim> = {}): Claim => ({
  subject: 'subject',
  kind,
  target: 'web',
  port: 8080,
  fromMs: 0,
  expiresAtMs: 60_000,
  evidenceDigest: new Uint8Array([1]),
  ...given,
});
const http = { kind: 'http', path: '/health' } as const;

/** A witness at second 1000, to which the subject looks so; `later` comes while it waits. */
function witness(seen: {
  port?: PortState;
  http?: HttpState;
  conditions?: Record<string, string>;
  later?: Record<string, string>;
  ageMs?: number;
}) {
  let { conditions } = seen;
  const asked: string[] = [];
  const transport = {
    probePort: async (peer: string, port: number) => {
      asked.push(`tcp ${peer} ${port}`);
      return seen.port;
    },
    probeHttp: async (peer: string, port: number, path: string) => {
      asked.push(`http ${peer} ${port} ${path}`);
      return seen.http;
    },
  } as unknown as Transport;
  const nowMs = 1_000_000;
  const statuses = {
    get: () => conditions && { heardMs: nowMs - (seen.ageMs ?? 0), status: { conditions } },
  } as unknown as StatusTable;
  const clock = {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    after: (_delayMs: number, run: () => void) => {
      conditions = seen.later ?? conditions;
      run();
      return { cancel: () => undefined };
    },
  };
  return { asked, say: (claim: Claim): Promise<Evidence> => gatherEvidence(claim, transport, statuses, clock) };
}
const verdictOf = async (claim: Claim, seen: Parameters<typeof witness>[0]): Promise<string> => {
  const { verdict, reason } = await witness(seen).say(claim);
  return `${verdict} ${reason}`;
};

describe('a witness that looks at the port', () => {
  it.each([
    ['service-down', 'refused', 'yes port-refused'],
    ['service-down', 'open', 'abstain port-open'],
    ['service-down', 'silent', 'abstain port-silent'],
    ['service-unresponsive', 'refused', 'yes port-refused'],
    ['service-unresponsive', 'open', 'abstain port-open'],
  ] as const)('of a %s that is %s: %s', async (kind, port, expected) => {
    expect(await verdictOf(claimOf(kind), { port })).toBe(expected);
  });

  it('refutes by an open port only where that is the check', async () => {
    expect(await verdictOf(claimOf('service-unresponsive', { check: { kind: 'tcp' } }), { port: 'open' })).toBe(
      'no check-passed',
    );
    expect(await verdictOf(claimOf('service-down', { check: { kind: 'tcp' } }), { port: 'open' })).toBe('abstain port-open');
  });

  it.each([
    ['passed', 'no check-passed'],
    ['failed', 'yes check-failed'],
    ['mute', 'yes check-silent'],
    ['refused', 'yes port-refused'],
    ['silent', 'abstain port-silent'],
    ['unknown', 'abstain no-evidence'],
  ] as const)('runs the declared check by HTTP: %s is %s', async (state, expected) => {
    const { asked, say } = witness({ http: state });
    const { verdict, reason, confidence } = await say(claimOf('service-unresponsive', { check: http }));
    expect(`${verdict} ${reason}`).toBe(expected);
    expect(confidence > 50).toBe(verdict !== 'abstain');
    expect(asked).toEqual(['http subject 8080 /health']);
  });

  it('asks nothing where there is no port, or a port says nothing of it', async () => {
    for (const claim of [
      claimOf('service-down', { port: undefined }),
      claimOf('pressure'),
      claimOf('service-frozen'),
      claimOf('slow'),
    ]) {
      const { asked, say } = witness({ port: 'refused' });
      expect([await say(claim), asked]).toEqual([{ verdict: 'abstain', reason: 'no-evidence', confidence: 0 }, []]);
    }
  });
});

describe('a witness that holds a status', () => {
  const down = { ServicesReady: 'False' };

  it.each([
    ['service-down', down, true],
    ['service-unresponsive', down, true],
    ['service-frozen', down, true],
    ['service-down', { ServicesReady: 'True', Anomalous: 'True' }, false],
    ['pressure', { CpuPressure: 'True' }, true],
    ['pressure', { DiskPressure: 'True' }, true],
    ['pressure', { CpuPressure: 'False', MemoryPressure: 'Unknown' }, false],
    ['anomaly', { Anomalous: 'True' }, true],
    ['anomaly', { Anomalous: 'False', CpuPressure: 'True' }, false],
    ['slow', { CpuPressure: 'True', ServicesReady: 'False' }, false],
    ['skewed', { CpuPressure: 'True', ServicesReady: 'False' }, false],
  ] as const)('of %s, where it says %o: agrees %s', async (kind, conditions, agrees) => {
    const expected = agrees ? 'yes status-agrees' : 'abstain no-evidence';
    expect(await verdictOf(claimOf(kind, { port: undefined }), { conditions })).toBe(expected);
  });

  it('believes what it sees itself first, and the status where it saw nothing', async () => {
    const claim = claimOf('service-unresponsive', { check: http });
    expect(await verdictOf(claim, { http: 'passed', conditions: down })).toBe('no check-passed');
    expect(await verdictOf(claim, { http: 'silent', conditions: down })).toBe('yes status-agrees');
  });

  it('waits once for a status that is on its way, and believes no old one', async () => {
    const claim = claimOf('service-down', { port: undefined });
    expect(await verdictOf(claim, { conditions: { ServicesReady: 'True' }, later: down })).toBe('yes status-agrees');
    expect(await verdictOf(claim, { later: down })).toBe('yes status-agrees');
    expect(await verdictOf(claim, { conditions: down, ageMs: 600_000 })).toBe('yes status-agrees');
    expect(await verdictOf(claim, { conditions: down, ageMs: 600_001 })).toBe('abstain no-evidence');
  });

  it('takes no word of the subject for leave to do something disruptive', async () => {
    const warrant = { plan: 'p' } as unknown as NonNullable<Claim['warrant']>;
    expect(await verdictOf(claimOf('service-down', { port: undefined, warrant }), { conditions: down })).toBe(
      'abstain no-evidence',
    );
    expect(await verdictOf(claimOf('service-down', { warrant }), { port: 'refused', conditions: down })).toBe('yes port-refused');
  });
});

describe('the check that others can run', () => {
  const spec = (given: Partial<ServiceSpec>): ServiceSpec[] => [{ name: 'web', command: ['web'], ...given }];
  it.each([
    ['a port', { port: 80 }, { kind: 'tcp' }],
    ['HTTP on a port', { port: 80, check: { kind: 'http', path: '/x' } }, { kind: 'http', path: '/x' }],
    ['no port', {}, undefined],
    ['HTTP without a port', { check: { kind: 'http', path: '/x' } }, undefined],
    ['a command', { port: 80, check: { kind: 'command', command: ['true'] } }, undefined],
    ['a path that is none', { port: 80, check: { kind: 'http', path: 'x y' } }, undefined],
  ])('of a service with %s', (_what, given, expected) => {
    expect(remoteCheckOf(spec(given as Partial<ServiceSpec>), 'web')).toEqual(expected);
    expect(remoteCheckOf(spec(given as Partial<ServiceSpec>), 'db')).toBeUndefined();
  });
});
