// net.*: blocks and unblocks an address, in a firewall table of KALOS itself; no other rule is touched.
// A change is kept only if as many peers are reachable afterwards as before.
import { z } from 'zod';
import { type ChangeTool, changeTool, ORDINARY_RATE } from '../tool.ts';

const address = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);

function netTool(verb: 'block' | 'unblock', description: string): ChangeTool {
  const back = verb === 'block' ? 'unblock' : 'block';
  return changeTool(z.strictObject({ tool: z.literal(`net.${verb}`), address }), {
    name: `net.${verb}`,
    version: 1,
    description,
    capability: 'net',
    blastRadius: 'all traffic with the address',
    target: (call) => `net:${call.address}`,
    risks: ['R2'],
    risk: () => 'R2',
    verification: { condition: 'peers-kept', stableMs: 6_000, windowMs: 12_000 },
    timeoutMs: 10_000,
    rate: ORDINARY_RATE,
    look: async (call, machine) => ({ ok: true, before: { address: call.address, peers: machine.peers() } }),
    dryRun: (call) => [`table inet kalos: ${verb === 'block' ? '+' : '-'} drop to and from ${call.address}`],
    steps: (call) => [{ do: [`net.${verb}`, call.address], undo: [`net.${back}`, call.address] }],
    inverse: (call) => ({ tool: `net.${back}`, address: call.address }),
  });
}

export const NETWORK_TOOLS: readonly ChangeTool[] = [
  netTool('block', 'Drops all traffic to and from an address or network (/8 or narrower)'),
  netTool('unblock', 'Unblocks an address or network'),
];
