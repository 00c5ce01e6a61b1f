// `kalos recover`: restarts the committee with root keys, after a permanent loss of quorum.
import { counted } from '../../swarm/words.ts';
import { callAgent } from '../api/client.ts';
import type { NovaAnswer } from '../api/decision-routes.ts';
import { KalosError } from '../errors.ts';
import type { RecoveryView } from '../link/membership-admin.ts';
import { EXIT } from './exit-codes.ts';
import { signedByRoot } from './members.ts';
import { paint, table } from './output.ts';

const LOOK_EVERY_MS = 500;
const WITHIN_MS = 60_000;

export interface RecoverOptions {
  dir?: string;
  on?: string;
  rootKey: readonly string[];
  yes: boolean;
}

export async function recover({ dir, on, rootKey, yes }: RecoverOptions): Promise<number> {
  const { coordinator, members, suggested, lost } = await callAgent<RecoveryView>(dir, 'GET', '/v1/recovery');
  if (coordinator !== null) {
    process.stdout.write(`the leader is ${coordinator}: nothing to recover\n`);
    return EXIT.ok;
  }
  const node = on ?? suggested;
  if (node === null) throw new KalosError('refused', 'no member is reachable', 'start one: kalos up');
  const chosen = members.find((one) => one.node === node);
  if (chosen?.state !== 'alive') throw new KalosError('not-found', `no reachable member is called ${node}`, 'see: kalos members');
  process.stdout.write(
    `${table(
      ['node', 'state', 'voted', 'last decision'],
      members.map((one) => [one.node === node ? `${one.node} *` : one.node, one.state, one.voted ? 'yes' : '', one.decided]),
    )}\n\n* ${node} restarts the committee from its log; others rejoin as voters automatically.\n`,
  );
  if (lost > 0)
    process.stdout.write(paint('yellow', `Unreachable members had ${counted(lost, 'decision')} more; these are lost.\n`));
  if (!yes) {
    process.stdout.write(
      `Danger of split brain: make sure that no other old voters still run elsewhere.\nThen repeat the command with --yes\n`,
    );
    return EXIT.pending;
  }
  await signedByRoot(dir, { kind: 'recovery', member: node }, rootKey);
  const untilMs = performance.now() + WITHIN_MS;
  while (performance.now() < untilMs) {
    const nova = await callAgent<NovaAnswer>(dir, 'GET', '/v1/nova');
    if (nova.coordinator !== null) {
      process.stdout.write(`leader ${nova.coordinator}, term ${nova.term}; see: kalos nova status\n`);
      return EXIT.ok;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  throw new KalosError(
    'refused',
    `the swarm has no leader after ${WITHIN_MS / 1_000} s`,
    `see the log of ${node}, and: kalos nova status`,
  );
}
