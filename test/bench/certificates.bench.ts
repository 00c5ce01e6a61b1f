// What it costs a swarm to agree on an incident: messages, votes and bytes, by its size; and what it costs to check a certificate.
import { decodeCertificate } from '../../consensus/vote/certificate.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import { swarmNames } from '../../swarm/names.ts';
import { verifyMs, voteCpuMs } from '../support/certificates.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

const SIZES = [30, 100, 1_000];
const SETTLED_MS = 60_000;
const OVER_MS = 40_000;
const TOGETHER = 5;
/** Of the certificate that the bar is for. */
const VOTES = 21;
/** As many as a member of a large swarm has. */
const WITNESSES = 7;

interface Cost {
  messages: number;
  bytes: number;
  votes: number;
  certificateBytes: number;
  witnesses: number;
}

/** One service is killed on one machine: ordinary, or critical, which takes a certificate for the change itself too. */
async function costAt(nodes: number, critical: boolean): Promise<Cost> {
  const document = { mode: 'act', service: [{ name: 'web', command: ['web'], port: 8080, critical }] };
  const cluster = Cluster.of({ nodes, seed: 1, settings: agentSettings(resolveConfig([{ origin: 'bench', document }])) });
  const protocol = swarmNames(cluster.swarmId).protocol('vote');
  const sent = { bytes: 0, messages: 0 };
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  cluster.network.taps.push((_from, _to, name, bytes) => {
    if (name !== protocol) return;
    sent.messages++;
    sent.bytes += bytes.length;
  });
  const node = cluster.node(7);
  node.linux.services.kill('web');
  await cluster.runUntil(SETTLED_MS + OVER_MS);
  const [incident] = node.agent?.parts.memory.incidents() ?? [];
  if (incident?.state !== 'resolved') throw new Error(`${nodes} nodes: the incident is ${incident?.state ?? 'missing'}`);
  const bytes = Uint8Array.from(atob(incident.certificate), (letter) => letter.charCodeAt(0));
  const certificate = decodeCertificate(bytes);
  return {
    ...sent,
    votes: certificate?.votes.length ?? 0,
    witnesses: certificate?.witnesses.length ?? 0,
    certificateBytes: bytes.length,
  };
}

/** Several services of one machine are killed at once: what is put to its witnesses goes together. */
async function messagesTogether(nodes: number, services: number): Promise<number> {
  const service = Array.from({ length: services }, (_, nth) => ({ name: `s-${nth}`, command: ['s'], port: 8080 + nth }));
  const settings = agentSettings(resolveConfig([{ origin: 'bench', document: { mode: 'act', service } }]));
  const cluster = Cluster.of({ nodes, seed: 1, settings });
  const protocol = swarmNames(cluster.swarmId).protocol('vote');
  let messages = 0;
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  cluster.network.taps.push((_from, _to, name) => {
    if (name === protocol) messages++;
  });
  for (const { name } of service) cluster.node(7).linux.services.kill(name);
  await cluster.runUntil(SETTLED_MS + OVER_MS);
  return messages;
}

async function run({ option, progress }: BenchOptions): Promise<Figures> {
  const most = option('nodes', 1_000);
  const figures: Figures = { rows: [], keys: {}, unmeasured: ['a rival: none certifies what it repairs'] };
  for (const nodes of SIZES.filter((size) => size <= most)) {
    for (const critical of [false, true]) {
      const cost = await costAt(nodes, critical);
      const kind = critical ? 'a critical service' : 'a service';
      progress(`${nodes} nodes, ${kind}: ${cost.bytes} bytes`);
      const certified = `certificate of ${cost.votes} votes of ${cost.witnesses} witnesses, ${cost.certificateBytes} bytes`;
      figures.rows.push([
        `${nodes} nodes, ${kind} is killed`,
        `${cost.messages} messages, ${cost.bytes} bytes; ${certified}`,
        '',
      ]);
      if (critical) figures.keys[`critical_bytes_${nodes}`] = cost.bytes;
      else figures.keys[`bytes_${nodes}`] = cost.bytes;
    }
  }
  const together = await messagesTogether(30, TOGETHER);
  figures.rows.push([`30 nodes, ${TOGETHER} services of one are killed at once`, `${together} messages in all`, '']);
  figures.keys.together_messages = together;
  const { fresh, again } = await verifyMs(VOTES, option('turns', 50));
  figures.rows.push([`${VOTES} signatures checked`, `${fresh.toFixed(2)} ms of unknown keys, ${again.toFixed(2)} ms again`, '']);
  figures.keys.certificate_verify_ms = fresh;
  await voteCpuMs(WITNESSES, 20); // compiled
  const cpuMs = await voteCpuMs(WITNESSES, option('turns', 50));
  figures.rows.push([
    `CPU of a vote by ${WITNESSES} witnesses`,
    `${cpuMs.toFixed(2)} ms on all machines together; twice that for a critical service`,
    '',
  ]);
  figures.keys.vote_cpu_ms = cpuMs;
  return figures;
}

export const certificates: Bench = {
  name: 'certificates',
  description: 'what votes and certificates cost an incident, at 30, 100 and 1,000 nodes; how long a certificate takes to check',
  run,
};
