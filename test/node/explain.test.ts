// `kalos explain ID`: from whom an incident is taken, whose word about it counts, and what its certificate and this peer's vote say.
import { describe, expect, it } from 'vitest';
import { encodeCertificate } from '../../consensus/vote/certificate.ts';
import { claimIdOf, type Vote, voteBytes } from '../../consensus/vote/claim.ts';
import { addStep, type Incident, openIncident } from '../../node/detection/incident.ts';
import { answerExplain, type ExplainSources, explain } from '../../node/query/explain.ts';
import type { Reads } from '../../node/query/reads.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';

const SWARM = 'swarm';
const NOW_MS = 1_800_000_000_000;
const cryptoOf = (nth: number) => new ModelledCrypto(simulatedPeer(nth, 1), Uint8Array.of(1));
const [self, other, third, fourth, fifth] = [cryptoOf(0), cryptoOf(1), cryptoOf(2), cryptoOf(3), cryptoOf(4)];

const found = { policy: 'service-down', target: 'web', severity: 'critical' as const, summary: 'it is down' };
const incidentOf = (crypto: ModelledCrypto, atMs = NOW_MS): Incident =>
  openIncident(found, crypto.self, 'their', atMs, crypto.hash);
/** As a machine reports it to a witness: signed. */
const storyOf = (crypto: ModelledCrypto, incident: Incident) => ({
  incident,
  signature: crypto.sign(encodeCbor(['kalos/story', SWARM, incident])),
});

function world() {
  const its = {
    own: new Map<string, Incident>(),
    kept: new Map<string, unknown>(),
    /** What each member answers to an id, and to a question of what it has kept. */
    answers: new Map<string, unknown>(),
    stories: new Map<string, unknown>(),
    missing: [] as { peer: string; reason: string }[],
    asked: [] as unknown[][],
    members: [self, other, third].map((one) => one.self),
    votes: new Map<string, Vote>(),
  };
  const swarm = {
    self: self.self,
    get members() {
      return its.members.map((peer) => ({ peer }));
    },
    nameOf: (peer: string) => `n${its.members.indexOf(peer)}`,
    ask: async (peers: string[], kind: string, body: Uint8Array, given: Record<string, unknown>) => {
      const question = decodeCbor(body);
      const { take, ...options } = given as { take(peer: string, answer: Uint8Array, ms: number): void };
      its.asked.push([kind, peers.length, question, options]);
      const of = typeof question === 'string' ? its.answers : its.stories;
      for (const peer of peers) take(peer, encodeCbor(of.get(peer) ?? null), 1);
      return its.missing;
    },
  };
  const sources = {
    reads: {
      swarm,
      healing: { incident: (id: string) => its.own.get(id) },
      witness: { story: (id: string) => its.kept.get(id), voteOn: (claimId: string) => its.votes.get(claimId) },
    },
    crypto: self,
    swarmId: SWARM,
    asker: 'me',
  } as unknown as ExplainSources;
  const told = async (id: string) => {
    const result = await explain(id, sources);
    if (!result.ok) return result.message;
    const { source, toldBy, incident } = result.explanation;
    return [source, toldBy, incident.nodeName];
  };
  return { its, sources, told };
}

describe('an incident', () => {
  it.each(['', 'inc-012345678', 'inc-01234567890', 'inc-012345678G', 'xinc-0123456789'])(
    'has an id that looks like one: %j',
    async (id) => {
      expect(await world().told(id)).toBe(
        `"${id}" is not an incident id such as inc-0123456789; see: kalos query "select id from incidents"`,
      );
    },
  );

  it('of this peer itself is taken from its memory, and nobody is asked', async () => {
    const { its, told } = world();
    const incident = incidentOf(self);
    its.own.set(incident.id, incident);
    expect(await told(incident.id)).toEqual(['local', undefined, 'their']);
    expect(its.asked).toEqual([]);
  });

  it('of another is taken from the machine that had it', async () => {
    const { its, told } = world();
    const incident = incidentOf(other);
    its.answers.set(other.self, incident);
    expect(await told(incident.id)).toEqual(['remote', undefined, 'their']);
    expect(its.asked).toEqual([['explain', 3, incident.id, { timeoutMs: 3_000, maxBytes: 16_000_000, asker: 'me' }]]);
  });

  it.each<[string, (incident: Incident) => unknown]>([
    ['another machine tells it', (incident) => incident],
    ['its id is of another moment', (incident) => ({ ...incident, node: third.self, openedMs: NOW_MS + 1 })],
    ['it is another', () => incidentOf(third, NOW_MS + 1)],
    ['it is malformed', () => ({ id: 'x' })],
  ])('is not believed where %s', async (_what, answer) => {
    const { its, told } = world();
    const incident = incidentOf(other);
    its.answers.set(third.self, answer(incident));
    its.missing = [{ peer: other.self, reason: 'down' }];
    expect(await told(incident.id)).toBe(`no member that answered knows ${incident.id}; no answer from: n1 (down)`);
    its.missing = [];
    expect(await told(incident.id)).toBe(`no member that answered knows ${incident.id}`);
  });

  it('whose machine is gone is taken from the witness with the newest of it, signed by that machine', async () => {
    const { its, told } = world();
    const incident = incidentOf(fourth);
    const later = (atMs: number, nodeName: string, crypto = fourth) => {
      const changed = { ...incident, nodeName, steps: [] };
      addStep(changed, NOW_MS + atMs, 'detect', 'seen');
      return storyOf(crypto, changed);
    };
    its.stories.set(third.self, storyOf(fourth, incident));
    expect(await told(incident.id)).toEqual(['witness', 'n2', 'their']);
    expect(its.asked[1]?.[2]).toEqual(['kept', incident.id]);
    its.stories.set(other.self, later(5, 'newer'));
    expect(await told(incident.id)).toEqual(['witness', 'n1', 'newer']);
    its.kept.set(incident.id, later(5, 'own'));
    expect(await told(incident.id)).toEqual(['witness', 'n0', 'own']);
    its.stories.set(other.self, later(6, 'newest'));
    expect(await told(incident.id)).toEqual(['witness', 'n1', 'newest']);
    its.stories.set(other.self, later(7, 'forged', third));
    its.stories.set(third.self, storyOf(fourth, incidentOf(fourth, NOW_MS + 9)));
    expect(await told(incident.id)).toEqual(['witness', 'n0', 'own']);
  });
});

describe('the certificate of an incident', () => {
  const witnesses = [self, third, fourth, fifth];
  const claim = {
    subject: other.self,
    kind: 'service-down' as const,
    target: 'web',
    port: 80,
    fromMs: NOW_MS,
    expiresAtMs: NOW_MS + 60_000,
    evidenceDigest: self.hash(Uint8Array.of(1)),
  };
  const votes = (signers: ModelledCrypto[]): Vote[] =>
    signers.map((one) => {
      const claimId = claimIdOf(SWARM, claim, one.hash);
      const vote = { claimId, witness: one.self, verdict: 'yes', reason: 'port-refused', confidence: 95 } as const;
      return { ...vote, signature: one.sign(voteBytes(SWARM, vote)) };
    });
  async function checked(signers: ModelledCrypto[], changed: Partial<Incident> = {}, own = false) {
    const { its, sources } = world();
    const certificate = { claim, witnesses: witnesses.map((one) => one.self), votes: votes(signers) };
    const text = Buffer.from(encodeCertificate(certificate)).toString('base64');
    const incident = { ...incidentOf(other), certificate: text, ...changed };
    its.own.set(incident.id, incident);
    const [vote] = certificate.votes;
    if (own && vote !== undefined) its.votes.set(vote.claimId, vote);
    const result = await explain(incident.id, sources);
    return result.ok ? result.explanation : expect.fail(result.message);
  }

  it('is checked against who there is', async () => {
    const { certificate, ownVote } = await checked(witnesses, {}, true);
    expect(certificate).toEqual({
      present: true,
      valid: true,
      detail: '4 of 4 witnesses signed; 2 of them unknown to this agent',
      witnesses: ['n0', 'n2', 'n-1', 'n-1'],
    });
    expect(ownVote).toEqual({ verdict: 'yes', reason: 'port-refused', confidence: 95 });
    expect((await checked(witnesses)).ownVote).toBeUndefined();
  });

  it('may be of too few, about something else, or missing', async () => {
    const few = (await checked([self])).certificate;
    expect(few).toMatchObject({ present: true, valid: false, detail: expect.not.stringContaining('signed') });
    for (const changed of [{ target: 'db' }, { node: third.self }])
      expect((await checked(witnesses, changed)).certificate).toMatchObject({
        valid: false,
        detail: 'it is for another claim',
      });
    expect(await checked(witnesses, { certificate: '' })).toMatchObject({ certificate: { present: false }, ownVote: undefined });
  });
});

describe('what another peer asks', () => {
  const incident = incidentOf(self);
  const story = storyOf(other, incidentOf(other));
  const kept: unknown[] = [];
  const reads = {
    healing: { incident: (id: string) => (id === incident.id ? incident : undefined) },
    witness: { story: (id: string) => (id === story.incident.id ? story : undefined) },
  } as Reads;
  const keep = async (...of: unknown[]) => {
    kept.push(of);
    return true;
  };
  const answer = async (question: unknown) => decodeCbor(await answerExplain('peer', encodeCbor(question), reads, keep));

  it('is answered from memory, from what is kept, or with nothing', async () => {
    expect(await answer(incident.id)).toEqual(incident);
    expect(await answer(story.incident.id)).toBeNull();
    expect(await answer(['kept', story.incident.id])).toMatchObject({ incident: { id: story.incident.id } });
    expect(await answer(['kept', incident.id])).toBeNull();
    for (const wrong of ['inc-1', ['kept', 'x'], ['other', incident.id], 5]) expect(await answer(wrong)).toBeNull();
    expect(kept).toEqual([]);
    expect(await answer(['keep', { any: 1 }])).toBe(true);
    expect(kept).toEqual([['peer', { any: 1 }]]);
  });
});
