// The tables of this machine that are read on request, in their own process, by name.
import * as accounts from './accounts.ts';
import * as files from './files.ts';
import { models } from './models.ts';
import * as network from './network.ts';
import * as processes from './processes.ts';
import type { Reader } from './read.ts';
import * as system from './system.ts';

export const READERS: Readonly<Record<string, Reader>> = {
  process_details: processes.processes,
  process_open_sockets: processes.openSockets,
  process_open_files: processes.openFiles,
  listening_ports: processes.listeningPorts,
  cgroups: processes.cgroups,
  memory_info: system.memoryInfo,
  cpu_time: system.cpuTime,
  load_average: system.loadAverage,
  mounts: system.mounts,
  block_devices: system.blockDevices,
  kernel_modules: system.kernelModules,
  kernel_info: system.kernelInfo,
  os_version: system.osVersion,
  system_info: system.systemInfo,
  uptime: system.uptime,
  time: system.time,
  psi: system.pressure,
  system_controls: system.systemControls,
  interface_addresses: network.interfaceAddresses,
  interface_details: network.interfaceDetails,
  routes: network.routes,
  arp_cache: network.arpCache,
  etc_hosts: network.etcHosts,
  etc_services: network.etcServices,
  dns_resolvers: network.dnsResolvers,
  docker_containers: network.dockerContainers,
  users: accounts.users,
  groups: accounts.groups,
  user_groups: accounts.userGroups,
  logged_in_users: accounts.loggedInUsers,
  crontab: accounts.crontab,
  systemd_units: accounts.systemdUnits,
  models,
  deb_packages: accounts.debPackages,
  file: files.file,
  hash: files.hash,
  certificates: files.certificates,
};
