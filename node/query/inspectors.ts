// Who of the other members is shown what not every user of this machine may see.

/** `issuers`: and those whom a grant lets. */
export const INSPECTORS = ['issuers', 'members', 'nobody'] as const;
export type Inspectors = (typeof INSPECTORS)[number];

/** As the tool of a grant, of whoever may look; its target is the name of the member that is looked into. */
export const INSPECT = 'machine.inspect';
