// A member of a simulated Raft group: its disk, which is permanent, and its current process.
import type { ReplicatedLog } from '../../consensus/raft/replicated-log.ts';
import type { NodeId } from '../../consensus/raft/types.ts';
import type { Disk, SimulatedStore } from '../machine/disk.ts';
import type { Process } from '../machine/process.ts';
import type { Registers } from './registers.ts';

export class Member {
  readonly id: NodeId;
  readonly disk: Disk;
  process: Process;
  store: SimulatedStore | undefined;
  log: ReplicatedLog<Registers> | undefined;
  isUp = false;
  /** A record of its log is damaged; once it finds that, it sends no more messages. */
  isHurt = false;
  isDamaged = false;
  starts = 0;

  constructor(id: NodeId, disk: Disk, process: Process) {
    this.id = id;
    this.disk = disk;
    this.process = process;
  }
}
