// `kalos status`: the agent of this machine, and its view of the swarm.
import { isBadCondition } from '../../swarm/state/status.ts';
import { counted } from '../../swarm/words.ts';
import type { AgentStatus } from '../agent/agent-status.ts';
import { callAgent } from '../api/client.ts';
import { remedyFor } from '../errors.ts';
import { printWhole } from './data.ts';
import { EXIT } from './exit-codes.ts';
import { bytes, type Format, paint, printable, table } from './output.ts';
import { duration } from './times.ts';

export async function status(directory: string | undefined, format: Format): Promise<number> {
  const answer = await callAgent<AgentStatus>(directory, 'GET', '/v1/status');
  printWhole(format, { ...answer }, () => render(answer));
  return hasNoQuorum(answer) ? EXIT.noQuorum : isDegraded(answer) ? EXIT.degraded : EXIT.ok;
}

/** Half of the members or fewer are reachable: this may be the minority side of a partition. */
function hasNoQuorum({ members }: AgentStatus): boolean {
  return members.length > 2 && members.filter(({ state }) => state === 'alive').length * 2 <= members.length;
}

function isDegraded(answer: AgentStatus): boolean {
  return answer.conditions.Ready === 'False' || answer.members.some(({ state }) => state === 'unreachable' || state === 'down');
}

function render(answer: AgentStatus): string {
  const { metrics } = answer;
  const available = metrics['system.memory.available'];
  const share = (name: string): string => (metrics[name] === undefined ? 'unknown' : `${Math.round(metrics[name] * 100)} %`);
  const conditions = Object.entries(answer.conditions).map(([name, value]) =>
    paint(isBadCondition(name, value) ? 'red' : value === 'Unknown' ? 'dim' : 'green', `${name}=${value}`),
  );
  const lines = [
    `${paint('bold', answer.name)}  ${answer.mode}, up ${duration(answer.uptimeMs)}, version ${answer.version}, swarm ${answer.swarmId.slice(0, 8)}`,
    `  cpu ${share('system.cpu.utilization')}  memory ${share('system.memory.utilization')} (${available === undefined ? 'unknown' : bytes(available)} available)  load ${metrics['system.load.1m'] ?? 'unknown'}  ${counted(answer.auditRecords, 'audit record')}`,
    `  ${conditions.join('  ')}`,
    ...(answer.page === null ? [] : [`  web UI ${answer.page}`]),
    '',
    `Swarm: ${counted(answer.members.length, 'member')}, ${answer.coordinator === undefined ? paint('red', `the swarm has no leader: ${answer.uncoordinated ?? 'reason unknown'}`) : `leader ${answer.coordinator}, term ${answer.term}`}`,
    table(
      ['node', 'state', 'role', 'peer'],
      answer.members.map(({ name, state, role, peer }) => [name, state, role === 'coordinator' ? 'leader' : role, peer]),
    ),
  ];
  if (answer.services.length > 0) {
    lines.push(
      '',
      table(
        ['service', 'state', 'pid', 'health', 'reason'],
        answer.services.map(({ name, state, pid, health, why }) => [name, state, pid, health, why]),
      ),
    );
  }
  if (answer.twin !== null) lines.push('', paint('red', printable(answer.twin)));
  if (answer.refusal !== null)
    lines.push(
      '',
      paint(
        'red',
        `The state disk refuses writes: ${answer.refusal}. The agent only observes and keeps its services running; ${remedyFor(answer.refusal)}.`,
      ),
    );
  if (answer.halted !== null)
    lines.push('', paint('red', `Actions are halted: ${answer.halted}. kalos resume allows them again.`));
  if (answer.approvals.length > 0) {
    const rows = answer.approvals.map(({ id, incident, diff }) => [id, incident, diff.join('; ')]);
    lines.push('', table(['pending approval', 'incident', 'change'], rows));
  }
  for (const { name, reason } of answer.unseen)
    lines.push('', paint('yellow', `declared but unavailable: ${printable(name)}: ${printable(reason)}`));
  if (answer.openIncidents.length > 0) {
    lines.push(
      '',
      table(
        ['incident', 'state', 'target', 'summary'],
        answer.openIncidents.map(({ id, state, target, summary }) => [id, state, target, summary]),
      ),
    );
  }
  return lines.join('\n');
}
