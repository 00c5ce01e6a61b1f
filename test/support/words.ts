// Words of this project's own that the field has a word for: identifiers and phrases, each with what is said instead. An exact match is meant:
// an honest use of the same word stays.

/** Of sources: identifiers and names of files. */
export const BANNED_NAMES: readonly [found: RegExp, instead: string][] = [
  [/\bMOST_[A-Z]/, 'MAX_'],
  [/\bLEAST_[A-Z]/, 'MIN_'],
  [/\bCircles\b|#circles\b|\/circles\.ts/, 'PeerSelection'],
  [/\bSaying\b|#saying\b|\/saying\.ts/, 'StatusPacing'],
  [/\bnew Turns\b|\bclass Turns\b|#turns\b|\/turns\.ts/, 'PeriodicTask'],
  [/\bRoll\b|\/roll\.ts/, 'MembershipAdmin'],
  [/\bclass Numbers\b|\/numbers\.ts/, 'RaftIds'],
  [/consensus\/committee\/lane\.ts/, 'SendQueue'],
  [
    /\bclass Order\b|\bOrder(?:Events|Config)\b|\bORDER_(?:MESSAGES|REQUESTS)\b|(?:link|swarm)\??\.order\b|decisions\/order\.ts/,
    'Consensus',
  ],
  [/\b[sS]ignedOrder|\/signed-order\.ts/, 'SignedChange'],
  [/action\/leave\.ts/, 'node/action/authorization.ts'],
  [/\bclass Leaves\b|\bnew Leaves\b|\/leaves\.ts/, 'Authorizations'],
  [/\bencodeLeave\b/, 'encodeAuthorization'],
  [/\bjudgeLeave\b/, 'judgeAuthorization'],
];

export type Banned = readonly [found: RegExp, instead: string];

/** A line for each use: `path:line: what is said instead`. */
export const bannedIn = (path: string, text: string, words: readonly Banned[]): string[] =>
  text
    .split('\n')
    .flatMap((line, nth) => words.filter(([word]) => word.test(line)).map(([, instead]) => `${path}:${nth + 1}: ${instead}`));

/** Of what a person reads: documentation, and texts and comments in the sources. */
export const BANNED_PHRASES: readonly [found: RegExp, instead: string][] = [
  [/\b(?:nobody|somebody) (?:coordinates|leads)\b/i, 'the swarm has no leader'],
  [/\bvouch(?:es|ed)? for\b/i, 'attests'],
  [/\b(?:held|holds?) (?:\w+ )?for gone\b/i, 'considered down'],
  [/\b(?:start|begin|learn|made|draft|plac|admitt)\w* anew\b/i, 'again, or restarts'],
];

/** The same, of the product and the documentation; titles of tests may still say them. */
export const BANNED_IN_PRODUCT: readonly [found: RegExp, instead: string][] = [
  [/\bwhoever\b/i, 'the member, process or person that …'],
  [/\banew\b/i, 'again, or restarts'],
  [/\bthe swarm[’']s order\b/i, 'the consensus, or the decisions of the swarm'],
  [/\b(?:takes?|needs?|asks? for) leave\b/i, 'needs an authorization'],
  [/\bkalos order\b/, 'kalos change'],
  [/\b(?:is|was|are) told\b/i, 'is reported'],
  [/\bno (?:member|issuer|operator) any more\b/i, 'no longer a member'],
  [/\bof late\b/i, 'recently'],
  [/\bin order to\b/i, 'to'],
];
