// One fault, made and watched: by the benchmark `healing`, and a few of them by a test.
import { type Fault, settle } from './fault.ts';
import type { Place } from './place.ts';

const LIMIT_MS = 75_000;
const LOOK_EVERY_MS = 250;
/** It must stay well for so long. */
const STABLE_MS = 2_000;
/** How long a calm case is watched. */
const CALM_MS = 22_000;
const RESOLVED_WITHIN_MS = 20_000;
/** By then whatever is wrong must have been mended, cleared or told. */
const TOLD_WITHIN_MS = 125_000;

export interface Outcome {
  kind: string;
  calm: boolean;
  repaired: boolean;
  /** Whether what helped was done for what was wrong. */
  attributed: boolean;
  /** What went on without being mended, cleared or told. */
  untold: string[];
  /** What is wrong, in words. */
  wrong: string | undefined;
  harm: string | undefined;
  /** Acts where none was called for. */
  needless: string[];
  detectMs: number | undefined;
  repairMs: number | undefined;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Ms from the fault to the first look from which on all stayed well; undefined where it never did. */
export async function repairedAfter(
  fault: Fault,
  place: Place,
  startMs: number,
): Promise<{ ms: number | undefined; wrong: string | undefined }> {
  let wellSinceMs: number | undefined;
  let wrong: string | undefined = 'nothing was seen to be wrong';
  let seen = fault.certain === true;
  while (performance.now() - startMs < (fault.limitMs ?? LIMIT_MS)) {
    const atMs = performance.now();
    const now = await fault.probe(place).catch((error: unknown) => String(error));
    seen ||= now !== undefined;
    if (now !== undefined) [wrong, wellSinceMs] = [now, undefined];
    else wellSinceMs ??= atMs;
    if (seen && wellSinceMs !== undefined && performance.now() - wellSinceMs >= STABLE_MS)
      return { ms: wellSinceMs - startMs, wrong: undefined };
    await pause(LOOK_EVERY_MS);
  }
  return { ms: undefined, wrong };
}

/** Makes a fault under an agent, and says what came of it. */
export async function heal(fault: Fault, place: Place): Promise<Outcome> {
  await place.open();
  const toml = await fault.declare(place);
  await place.startAgent(toml, fault.grant?.(place) ?? '');
  await settle(fault, place);
  const startMs = performance.now();
  const startWallMs = Date.now();
  const known = (await place.incidents()).length;
  await fault.inject(place);
  if (fault.calm === true) {
    await pause(CALM_MS);
    const wrong = await fault.probe(place);
    const needless = await place.intents();
    return {
      kind: fault.kind,
      calm: true,
      repaired: wrong === undefined,
      attributed: true,
      untold: [],
      wrong,
      harm: await place.harm(),
      needless,
      detectMs: undefined,
      repairMs: undefined,
    };
  }
  const { ms, wrong } = await repairedAfter(fault, place, startMs);
  const said = ms === undefined ? undefined : await resolved(place, known);
  const isRepaired = ms !== undefined && said === undefined;
  const incidents = (await place.incidents()).slice(known);
  return {
    kind: fault.kind,
    calm: false,
    repaired: isRepaired,
    attributed: incidents.some(({ outcome, policy }) => outcome.endsWith('helped') && fault.blames.includes(policy)),
    untold: isRepaired ? [] : await untold(place, known, startMs),
    wrong: wrong ?? said,
    harm: await place.harm(),
    needless: [],
    detectMs: incidents[0] === undefined ? undefined : incidents[0].openedMs - startWallMs,
    repairMs: ms,
  };
}

/** What is still open a while after the fault, and nobody was told of; or that nothing was noticed at all. */
async function untold(place: Place, known: number, startMs: number): Promise<string[]> {
  await pause(Math.max(0, TOLD_WITHIN_MS - (performance.now() - startMs)));
  const incidents = (await place.incidents()).slice(known);
  if (incidents.length === 0) return ['nothing was noticed'];
  return incidents
    .filter(({ closedMs, severity, state }) => closedMs === 0 && severity !== 'info' && !['escalated', 'waiting'].includes(state))
    .map(({ policy, target, state }) => `${policy} on ${target} is ${state}`);
}

/** What the agent says of it must agree: a repair that it verified. Undefined where it does. */
async function resolved(place: Place, known: number): Promise<string | undefined> {
  const untilMs = performance.now() + RESOLVED_WITHIN_MS;
  for (;;) {
    const incidents = (await place.incidents()).slice(known);
    if (incidents.some(({ outcome }) => outcome.endsWith('helped'))) return undefined;
    if (performance.now() > untilMs)
      return `it says: ${incidents.map(({ policy, state, outcome }) => `${policy} ${state} ${outcome}`).join('; ') || 'nothing'}`;
    await pause(LOOK_EVERY_MS);
  }
}
