// Quorum arithmetic, in one place. Witness quorums tolerate liars (f among 3f + 1), majorities tolerate crashes.

/** How many of `witnesses` may lie without changing a verdict. */
export function tolerableLiars(witnesses: number): number {
  return Math.max(0, Math.floor((witnesses - 1) / 3));
}

/**
 * H: agreeing signatures that make a certificate, of `witnesses` asked: more than (n + f) / 2, so that any two quorums
 * share an honest witness (2f + 1 of 3f + 1), and at most n - f, so that liars cannot block one. 0 asked: 0.
 */
export function certificateQuorum(witnesses: number): number {
  return witnesses <= 0 ? 0 : Math.floor((witnesses + tolerableLiars(witnesses)) / 2) + 1;
}

/** More than half of `members`. */
export function majority(members: number): number {
  return Math.floor(members / 2) + 1;
}
