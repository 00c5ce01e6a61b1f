// The configuration of a Raft group, and how it changes: by one voter at a time, or through a joint configuration.
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { Inflights, Progress, type ProgressMap } from './progress.ts';
import { JointVoters } from './quorum.ts';
import type { ConfState, Entry, NodeId } from './types.ts';

export const CHANGES = ['ConfChangeAddNode', 'ConfChangeRemoveNode', 'ConfChangeUpdateNode', 'ConfChangeAddLearnerNode'] as const;
export interface ConfChange {
  type: (typeof CHANGES)[number];
  node: NodeId;
}

/** Auto: joint if it must be, and then left automatically. */
export const TRANSITIONS = [
  'ConfChangeTransitionAuto',
  'ConfChangeTransitionJointImplicit',
  'ConfChangeTransitionJointExplicit',
] as const;
export interface ConfChanges {
  transition: (typeof TRANSITIONS)[number];
  /** None: leaves the joint configuration. */
  changes: readonly ConfChange[];
}

export const LEAVE_JOINT: ConfChanges = { transition: 'ConfChangeTransitionAuto', changes: [] };

/** The data of an entry of type EntryConfChange or EntryConfChangeV2. */
export function encodeChanges({ transition, changes }: ConfChanges): Uint8Array {
  if (changes.length === 0 && transition === LEAVE_JOINT.transition) return new Uint8Array();
  return encodeCbor([TRANSITIONS.indexOf(transition), changes.map(({ type, node }) => [CHANGES.indexOf(type), node])]);
}

/** @throws RangeError if the entry has no configuration change. */
export function changesOf({ data }: Pick<Entry, 'data'>): ConfChanges {
  if (data.length === 0) return LEAVE_JOINT;
  const decoded = decodeCbor(data);
  const [way, all] = Array.isArray(decoded) ? decoded : [];
  const transition = TRANSITIONS[Number(way)];
  if (transition === undefined || !Array.isArray(all)) throw new RangeError('not a configuration change');
  const changes = all.map((one): ConfChange => {
    const [type, node] = Array.isArray(one) ? one : [];
    const change = CHANGES[Number(type)];
    if (change === undefined || !Number.isSafeInteger(node) || Number(node) < 0)
      throw new RangeError('not a configuration change');
    return { type: change, node: Number(node) };
  });
  return { transition, changes };
}

export interface Config {
  voters: JointVoters;
  learners: ReadonlySet<NodeId>;
  /** Voters of the outgoing half that become learners when the joint configuration is left. */
  learnersNext: ReadonlySet<NodeId>;
  autoLeave: boolean;
}

export const NO_CONFIG: Config = { voters: new JointVoters([]), learners: new Set(), learnersNext: new Set(), autoLeave: false };

const sorted = (ids: Iterable<NodeId>): NodeId[] => [...ids].sort((a, b) => a - b);

export function describeConfig({ voters, learners, learnersNext, autoLeave }: Config): string {
  const set = (name: string, ids: ReadonlySet<NodeId>): string => (ids.size === 0 ? '' : ` ${name}=(${sorted(ids).join(' ')})`);
  return `voters=${voters}${set('learners', learners)}${set('learners_next', learnersNext)}${autoLeave ? ' autoleave' : ''}`;
}

export const confStateOf = ({ voters, learners, learnersNext, autoLeave }: Config): ConfState => ({
  voters: sorted(voters.incoming),
  votersOutgoing: sorted(voters.outgoing),
  learners: sorted(learners),
  learnersNext: sorted(learnersNext),
  autoLeave,
});

export class ConfChangeError extends Error {}

/** A configuration with the progress of all its members. */
export interface Tracked {
  config: Config;
  progress: ProgressMap;
}

export interface ChangerLimits {
  maxInflight: number;
  maxInflightBytes: number;
}

/** A configuration while it is changed: a copy that shares nothing with the original. */
class Draft {
  readonly incoming: Set<NodeId>;
  readonly outgoing: Set<NodeId>;
  readonly learners: Set<NodeId>;
  readonly learnersNext: Set<NodeId>;
  readonly progress: Map<NodeId, Progress>;
  readonly #lastIndex: number;
  readonly #limits: ChangerLimits;
  autoLeave: boolean;

  constructor({ config, progress }: Tracked, lastIndex: number, limits: ChangerLimits) {
    this.incoming = new Set(config.voters.incoming);
    this.outgoing = new Set(config.voters.outgoing);
    this.learners = new Set(config.learners);
    this.learnersNext = new Set(config.learnersNext);
    this.progress = new Map([...progress].map(([id, one]) => [id, one.copy()]));
    this.autoLeave = config.autoLeave;
    this.#lastIndex = lastIndex;
    this.#limits = limits;
  }

  apply(changes: readonly ConfChange[]): void {
    for (const { type, node } of changes) {
      if (node === 0) continue; // cancelled when it was applied
      if (type === 'ConfChangeAddNode') this.#makeVoter(node);
      else if (type === 'ConfChangeAddLearnerNode') this.#makeLearner(node);
      else if (type === 'ConfChangeRemoveNode') this.#remove(node);
    }
    if (this.incoming.size === 0) throw new ConfChangeError('removed all voters');
  }

  #add(id: NodeId, isLearner: boolean): void {
    (isLearner ? this.learners : this.incoming).add(id);
    const { maxInflight, maxInflightBytes } = this.#limits;
    const progress = new Progress(0, Math.max(this.#lastIndex, 1), new Inflights(maxInflight, maxInflightBytes), isLearner);
    // Else a quorum check before its first message would fail.
    progress.recentActive = true;
    this.progress.set(id, progress);
  }

  #makeVoter(id: NodeId): void {
    const progress = this.progress.get(id);
    if (progress === undefined) return this.#add(id, false);
    progress.isLearner = false;
    this.learners.delete(id);
    this.learnersNext.delete(id);
    this.incoming.add(id);
  }

  #makeLearner(id: NodeId): void {
    const progress = this.progress.get(id);
    if (progress === undefined) return this.#add(id, true);
    if (progress.isLearner) return;
    this.#remove(id);
    this.progress.set(id, progress);
    // A voter of the outgoing half cannot be a learner yet.
    if (this.outgoing.has(id)) {
      this.learnersNext.add(id);
    } else {
      progress.isLearner = true;
      this.learners.add(id);
    }
  }

  #remove(id: NodeId): void {
    if (!this.progress.has(id)) return;
    this.incoming.delete(id);
    this.learners.delete(id);
    this.learnersNext.delete(id);
    if (!this.outgoing.has(id)) this.progress.delete(id);
  }

  done(): Tracked {
    const voters = new JointVoters(this.incoming, this.outgoing);
    const { learners, learnersNext, autoLeave, progress } = this;
    return { config: { voters, learners, learnersNext, autoLeave }, progress };
  }
}

/** Changes a configuration, or throws the reason why not. */
export class Changer {
  readonly #from: Tracked;
  readonly #lastIndex: number;
  readonly #limits: ChangerLimits;

  constructor(from: Tracked, lastIndex: number, limits: ChangerLimits) {
    this.#from = from;
    this.#lastIndex = lastIndex;
    this.#limits = limits;
  }

  #draft(): Draft {
    return new Draft(this.#from, this.#lastIndex, this.#limits);
  }

  /** @throws ConfChangeError */
  enterJoint(autoLeave: boolean, changes: readonly ConfChange[]): Tracked {
    const draft = this.#draft();
    if (draft.outgoing.size > 0) throw new ConfChangeError('config is already joint');
    if (draft.incoming.size === 0) throw new ConfChangeError("can't make a zero-voter config joint");
    for (const id of draft.incoming) draft.outgoing.add(id);
    draft.apply(changes);
    draft.autoLeave = autoLeave;
    return draft.done();
  }

  /** @throws ConfChangeError */
  leaveJoint(): Tracked {
    const draft = this.#draft();
    if (draft.outgoing.size === 0) throw new ConfChangeError("can't leave a non-joint config");
    for (const id of draft.learnersNext) {
      draft.learners.add(id);
      const progress = draft.progress.get(id);
      if (progress !== undefined) progress.isLearner = true;
    }
    draft.learnersNext.clear();
    for (const id of draft.outgoing) if (!draft.incoming.has(id) && !draft.learners.has(id)) draft.progress.delete(id);
    draft.outgoing.clear();
    draft.autoLeave = false;
    return draft.done();
  }

  /** @throws ConfChangeError */
  simple(changes: readonly ConfChange[]): Tracked {
    const draft = this.#draft();
    if (draft.outgoing.size > 0) throw new ConfChangeError("can't apply simple config change in joint config");
    draft.apply(changes);
    const { incoming } = this.#from.config.voters;
    const changed =
      [...incoming].filter((id) => !draft.incoming.has(id)).length + [...draft.incoming].filter((id) => !incoming.has(id)).length;
    if (changed > 1) throw new ConfChangeError('more than one voter changed without entering joint config');
    return draft.done();
  }

  /** Applies the change of an entry. @throws ConfChangeError */
  change({ transition, changes }: ConfChanges): Tracked {
    if (transition === LEAVE_JOINT.transition && changes.length === 0) return this.leaveJoint();
    if (transition === LEAVE_JOINT.transition && changes.length === 1) return this.simple(changes);
    return this.enterJoint(transition !== 'ConfChangeTransitionJointExplicit', changes);
  }
}

/** The configuration in a snapshot. */
export function restored(conf: ConfState, lastIndex: number, limits: ChangerLimits): Tracked {
  const add = (node: NodeId): ConfChange => ({ type: 'ConfChangeAddNode', node });
  const learner = (node: NodeId): ConfChange => ({ type: 'ConfChangeAddLearnerNode', node });
  const remove = (node: NodeId): ConfChange => ({ type: 'ConfChangeRemoveNode', node });
  const incoming = [
    ...conf.votersOutgoing.map(remove),
    ...conf.voters.map(add),
    ...conf.learners.map(learner),
    ...conf.learnersNext.map(learner),
  ];
  let tracked: Tracked = { config: NO_CONFIG, progress: new Map() };
  const changer = (): Changer => new Changer(tracked, lastIndex, limits);
  if (conf.votersOutgoing.length === 0) {
    for (const change of incoming) tracked = changer().simple([change]);
    return tracked;
  }
  for (const id of conf.votersOutgoing) tracked = changer().simple([add(id)]);
  return changer().enterJoint(conf.autoLeave, incoming);
}
