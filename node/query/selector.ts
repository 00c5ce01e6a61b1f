// Which members a question goes to: `web-1,web-2`, or a column of the table nodes such as `role=coordinator` or `state=alive`.
// An empty one, or `*`, is a mistake, never all.
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { SwarmLink } from '../link/swarm-link.ts';

export type Selector = (link: SwarmLink, peer: PeerId) => boolean;

const KEYS: Record<string, (link: SwarmLink, peer: PeerId) => string> = {
  role: (link, peer) => (link.coordinator === peer ? 'coordinator' : (link.admission.roster.member(peer)?.role ?? '')),
  state: (link, peer) => link.members.find((member) => member.peer === peer)?.state ?? '',
  version: (link, peer) => link.statuses.get(peer)?.status.version ?? '',
  mode: (link, peer) => link.statuses.get(peer)?.status.mode ?? '',
};

/** Undefined where all are meant; a text says what is wrong. */
export function selectorOf(text: string | undefined): Selector | undefined | string {
  if (text === undefined) return undefined;
  const parts = text.split(',').map((part) => part.trim());
  if (parts.some((part) => part === '' || part === '*'))
    return 'no nodes are named: give names, or such as role=coordinator; leave --nodes out to ask all';
  const tests: Selector[] = [];
  for (const part of parts) {
    const [key = '', wanted] = part.split('=');
    const read = KEYS[key];
    if (wanted === undefined) tests.push((link, peer) => link.nameOf(peer) === part || peer.endsWith(part));
    else if (read === undefined) return `nodes are not told apart by ${key}; by ${Object.keys(KEYS).join(', ')}, or by name`;
    else tests.push((link, peer) => read(link, peer) === wanted);
  }
  return (link, peer) => tests.some((test) => test(link, peer));
}
