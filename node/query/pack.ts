// Saved queries for operators, by name: `kalos query --ask NAME`.
import { z } from 'zod';

export const questionSchema = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'lower-case letters, digits and dashes, at most 40'),
  asks: z.string().max(200).default(''),
  sql: z.string().min(1).max(10_000),
});
export type Question = z.infer<typeof questionSchema>;

const q = (name: string, asks: string, sql: string): Question => ({ name, asks, sql });

/** The queries of the package, and the agent's own, which replace those of the same name. */
export function questionsWith(own: readonly Question[]): Question[] {
  return [...new Map([...PACK, ...own].map((one) => [one.name, one])).values()];
}

export const PACK: readonly Question[] = [
  q(
    'unwell',
    'Which members are unhealthy, and why?',
    "select node, condition, status, age_ms from conditions where status = case when condition like '%Ready' then 'False' else 'True' end order by node",
  ),
  q(
    'gone',
    'Which members are not alive, and who reports it?',
    "select n.node, n.state, n.age_ms, (select group_concat(o.observer) from observers o where o.node = n.node) as said_by from nodes n where n.state <> 'alive'",
  ),
  q(
    'busiest',
    'Which machines are the busiest?',
    'select node, round(cpu * 100) as cpu_percent, round(memory * 100) as memory_percent, load_1m from nodes order by cpu desc limit 10',
  ),
  q(
    'pressure',
    'Which machines wait for CPU, memory or I/O?',
    "select node, resource, avg10, avg60 from psi where kind = 'some' and avg60 > 5 order by avg60 desc",
  ),
  q(
    'top-cpu',
    'Which processes use the most CPU?',
    'select node, pid, name, round(cpu, 2) as cpu from processes order by cpu desc limit 20',
  ),
  q(
    'top-memory',
    'Which processes use the most memory?',
    'select node, pid, name, resident_size / 1048576 as mib from processes order by resident_size desc limit 20',
  ),
  q(
    'full-disks',
    'Which file systems are nearly full?',
    "select node, path, type, available * 100 / size as free_percent, inodes_free * 100 / max(inodes, 1) as inodes_percent from mounts where size > 0 and type not in ('tmpfs', 'devtmpfs', 'overlay', 'squashfs', 'iso9660') and available * 100 / size < 15 order by free_percent",
  ),
  q(
    'failed-units',
    'Which systemd units have failed?',
    "select node, id, description from systemd_units where active_state = 'failed'",
  ),
  q(
    'services',
    'What is the state of the supervised services?',
    'select node, name, state, health, starts, processes, memory / 1048576 as mib from services order by node, name',
  ),
  q(
    'open-incidents',
    'Which incidents are open?',
    "select node, policy, target, summary, state from incidents where outcome = '' order by opened_ms",
  ),
  q(
    'remedies',
    'Which remedies help, and which do not?',
    'select policy, tools, count(*) as tried, round(avg(worked) * 100) as worked_percent from cases group by policy, tools order by tried desc',
  ),
  q(
    'waiting',
    'Which approvals are pending?',
    "select node, id, change, datetime(expires, 'unixepoch') as expires from approvals",
  ),
  q(
    'changes',
    'What did KALOS change recently?',
    "select node, datetime(time, 'unixepoch') as at, subject, text from audit where kind = 'outcome' order by time desc limit 30",
  ),
  q(
    'listening',
    'Which ports are open to other machines?',
    "select l.node, l.address, l.port, p.name, p.uid from listening_ports l left join processes p on p.node = l.node and p.pid = l.pid where l.family in (2, 10) and l.address not like '127.%' and l.address <> '::1' order by l.node, l.port",
  ),
  q(
    'connections',
    'What are the busiest connections?',
    "select node, remote_address, remote_port, count(*) as connections from process_open_sockets where state = 'ESTABLISHED' and remote_address not like '127.%' group by node, remote_address, remote_port order by connections desc limit 30",
  ),
  q(
    'deleted-programs',
    'Which processes run a program that was replaced?',
    'select node, pid, name, path from processes where on_disk = 0',
  ),
  q(
    'deleted-files',
    'Which deleted files are still open and use disk space?',
    "select f.node, f.pid, p.name, f.path from process_open_files f left join processes p on p.node = f.node and p.pid = f.pid where f.path like '%(deleted)' limit 100",
  ),
  q(
    'zombies',
    'Which processes are zombies?',
    "select node, parent, count(*) as zombies from processes where state = 'Z' group by node, parent order by zombies desc",
  ),
  q(
    'kernels',
    'Which kernel versions are in use?',
    'select version, count(*) as machines, group_concat(node) as nodes from kernel_info group by version order by machines desc',
  ),
  q(
    'distributions',
    'Which distributions are in use?',
    'select platform, version, count(*) as machines from os_version group by platform, version order by machines desc',
  ),
  q(
    'hardware',
    'What hardware do the machines have?',
    'select node, hardware_vendor, hardware_model, cpu_brand, cpu_logical_cores as cpus, physical_memory / 1073741824 as gib from system_info order by node',
  ),
  q(
    'uptimes',
    'Which machines were restarted recently?',
    'select node, days, hours, minutes from uptime order by total_seconds limit 20',
  ),
  q(
    'clocks',
    'How far apart are the clocks?',
    'select node, unix_time - (select min(unix_time) from time) as ahead_s, local_timezone from time order by ahead_s desc',
  ),
  q(
    'network-errors',
    'Which network interfaces have errors or drops?',
    'select node, interface, ierrors, oerrors, idrops, odrops from interface_details where ierrors + oerrors + idrops + odrops > 0 order by ierrors + oerrors + idrops + odrops desc',
  ),
  q(
    'certificates',
    'Which members’ certificates expire first?',
    "select node, role, issuer, datetime(certificate_until, 'unixepoch') as until from members order by certificate_until limit 20",
  ),
  q(
    'cron',
    'Which cron jobs exist?',
    'select node, path, minute, hour, day_of_week, event, command from crontab order by node, path',
  ),
];
