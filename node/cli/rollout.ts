// What is pushed to all machines, as the command line tells it: how it goes until it is over, and how it stands.
import { setTimeout as after } from 'node:timers/promises';
import { counted } from '../../swarm/words.ts';
import type { PushedAnswer, RolloutAnswer } from '../api/rollouts.ts';
import { KalosError } from '../errors.ts';
import { EXIT } from './exit-codes.ts';
import { paint, printable } from './output.ts';
import { when } from './times.ts';

const LOOK_EVERY_MS = 500;
/** The agent that is asked may restart itself, when it is its turn. */
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
  /** Said once all have it, and where it went back. */
  everywhere: string;
  back: string;
}

/** Tells how it goes until it is over. @throws KalosError where it goes back */
export async function follow({ id, canary, look, everywhere, back }: Followed): Promise<number> {
  let [told, answeredMs] = [canary.join(), performance.now()];
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
    if (candidate === null || candidate.turn.join() === told) continue;
    process.stdout.write(
      `${counted(candidate.done.length, 'member')} ${candidate.done.length === 1 ? 'does' : 'do'} well; next ${candidate.turn.join(', ')}\n`,
    );
    told = candidate.turn.join();
  }
}

/** How it stands, in lines. @param none what there is where nothing was pushed @param brief one, in words */
export function linesOf<Shown extends PushedAnswer>(
  { good, before, candidate, ended }: RolloutAnswer<Shown>,
  none: string,
  brief: (one: Shown) => string,
): string[] {
  const lines = [`good      ${good === null ? none : brief(good)}`];
  if (before !== null) lines.push(`before    ${brief(before)}`);
  if (candidate !== null) {
    const since = when(candidate.sinceMs);
    lines.push(`tried     ${brief(candidate)}: ${candidate.phase}, ${candidate.turn.join(', ')} since ${since}`);
    if (candidate.done.length > 0) lines.push(`  is on ${candidate.done.join(', ')}`);
    for (const { node, ok, reason } of candidate.reports)
      lines.push(`  ${node}: ${ok ? 'well' : paint('red', printable(reason))}`);
  }
  if (ended !== null) {
    const how = ended.outcome === 'back' ? `was taken back: ${printable(ended.reason)}` : 'is everywhere';
    lines.push(`the last  ${ended.id.slice(0, 8)} ${how}`);
  }
  return lines;
}
