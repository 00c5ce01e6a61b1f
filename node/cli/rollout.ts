// What the command line shows of a roll-out: its progress until the end, and its status.
import { setTimeout as after } from 'node:timers/promises';
import { counted } from '../../swarm/words.ts';
import type { PushedAnswer, RolloutAnswer } from '../api/rollouts.ts';
import { KalosError } from '../errors.ts';
import { EXIT } from './exit-codes.ts';
import { paint, printable } from './output.ts';
import { when } from './times.ts';

const LOOK_EVERY_MS = 500;
/** The agent that answers may restart itself, when its wave comes. */
const AWAY_MS = 60_000;

export interface PushOptions {
  dir?: string;
  canary?: string[];
  /** ms */
  soak: number;
  wait: boolean;
}

interface Followed {
  id: string;
  canary: readonly string[];
  look(): Promise<RolloutAnswer>;
  /** Printed at the end: when all members have it, and when it was rolled back. */
  everywhere: string;
  back: string;
}

/** Prints the progress until the end. @throws KalosError if it is rolled back */
export async function follow({ id, canary, look, everywhere, back }: Followed): Promise<number> {
  let [reported, answeredMs] = [canary.join(), performance.now()];
  for (;;) {
    await after(LOOK_EVERY_MS);
    const now = await look().catch((error: unknown) => {
      if (performance.now() - answeredMs > AWAY_MS) throw error;
      return undefined;
    });
    if (now === undefined) continue;
    answeredMs = performance.now();
    const { candidate, ended } = now;
    if (ended?.id === id) {
      if (ended.outcome === 'back') throw new KalosError('refused', `${back}: ${printable(ended.reason)}`);
      process.stdout.write(`${everywhere}\n`);
      return EXIT.ok;
    }
    if (candidate === null || candidate.turn.join() === reported) continue;
    process.stdout.write(
      `${counted(candidate.done.length, 'member')} ${candidate.done.length === 1 ? 'is' : 'are'} healthy; next ${candidate.turn.join(', ')}\n`,
    );
    reported = candidate.turn.join();
  }
}

/** The status, in lines. @param none shown if nothing was ever pushed @param brief describes one release or bundle */
export function linesOf<Shown extends PushedAnswer>(
  { good, before, candidate, ended }: RolloutAnswer<Shown>,
  none: string,
  brief: (one: Shown) => string,
): string[] {
  const lines = [`active    ${good === null ? none : brief(good)}`];
  if (before !== null) lines.push(`previous  ${brief(before)}`);
  if (candidate !== null) {
    const since = when(candidate.sinceMs);
    lines.push(`rolling   ${brief(candidate)}: ${candidate.phase}, ${candidate.turn.join(', ')} since ${since}`);
    if (candidate.done.length > 0) lines.push(`  done on ${candidate.done.join(', ')}`);
    for (const { node, ok, reason } of candidate.reports)
      lines.push(`  ${node}: ${ok ? 'healthy' : paint('red', printable(reason))}`);
  }
  if (ended !== null) {
    const how = ended.outcome === 'back' ? `was rolled back: ${printable(ended.reason)}` : 'is on all members';
    lines.push(`last      ${ended.id.slice(0, 8)} ${how}`);
  }
  return lines;
}
