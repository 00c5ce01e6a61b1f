// Which other members may read tables that not every user of this machine may see.

/** `issuers`: issuers, and members with a grant. */
export const INSPECTORS = ['issuers', 'members', 'nobody'] as const;
export type Inspectors = (typeof INSPECTORS)[number];

/** The tool name of a grant for a member that may read; its target is the name of the member that is read. */
export const INSPECT = 'machine.inspect';
