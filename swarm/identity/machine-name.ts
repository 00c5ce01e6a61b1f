// The default name of an agent: the first label of the host name. A label that is too long is truncated, and ends in a part of the agent's
// key, so that it differs from others that begin alike.
import { MAX_NAME } from './record.ts';

const MARK_LENGTH = 6;

/** @param peer of the key: its end is unique. */
export function nameOfMachine(host: string, peer: string): string {
  const plain = (host.split('.')[0] ?? '').replace(/[^a-zA-Z0-9-]+/g, '-').replace(/^-+|-+$/g, '');
  if (plain === '') return `agent-${peer.slice(-MARK_LENGTH)}`;
  if (plain.length <= MAX_NAME) return plain;
  return `${plain.slice(0, MAX_NAME - MARK_LENGTH - 1).replace(/-+$/, '')}-${peer.slice(-MARK_LENGTH)}`;
}
