// Selects the members of a query: `web-1,web-2`, or a column of the table nodes such as `role=coordinator` or `state=alive`.
// An empty selector, or `*`, is an error and never means all.
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { SwarmReads } from './reads.ts';

export type Selector = (swarm: SwarmReads, peer: PeerId) => boolean;

const KEYS: Record<string, (swarm: SwarmReads, peer: PeerId) => string> = {
  role: (swarm, peer) => (swarm.coordinator === peer ? 'coordinator' : (swarm.roleOf(peer) ?? '')),
  state: (swarm, peer) => swarm.members.find((member) => member.peer === peer)?.state ?? '',
  version: (swarm, peer) => swarm.statusOf(peer)?.status.version ?? '',
  mode: (swarm, peer) => swarm.statusOf(peer)?.status.mode ?? '',
};

/** Undefined: all members. A string is the error. */
export function selectorOf(text: string | undefined): Selector | undefined | string {
  if (text === undefined) return undefined;
  const parts = text.split(',').map((part) => part.trim());
  if (parts.some((part) => part === '' || part === '*'))
    return 'empty selector: give names or role=coordinator, or omit --nodes to query all';
  const tests: Selector[] = [];
  for (const part of parts) {
    const [key = '', wanted] = part.split('=');
    const read = KEYS[key];
    if (wanted === undefined) tests.push((swarm, peer) => swarm.nameOf(peer) === part || peer.endsWith(part));
    else if (read === undefined) return `unknown selector key ${key}; use ${Object.keys(KEYS).join(', ')}, or a name`;
    else tests.push((swarm, peer) => read(swarm, peer) === wanted);
  }
  return (swarm, peer) => tests.some((test) => test(swarm, peer));
}
