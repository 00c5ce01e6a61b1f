// Declared things that somebody changes behind the agent's back: a kernel parameter, a file, a log that grows, a file that
// is deleted. Each is put right through a tool, verified, and left alone where nothing was declared.
import { utf8 } from '../../swarm/dissemination/cbor.ts';
import type { Cluster } from '../cluster.ts';
import type { Scenario } from './scenario.ts';

const S = 1_000;
const CONFIG = '/etc/app.conf';
const UNDECLARED = '/etc/other.conf';
const LOG = '/var/log/app.log';
const MAX_LOG_BYTES = 10_000;

export const drift: Scenario = {
  name: 'drift',
  description: 'a sysctl, a file and a log leave what was declared, and are put right',
  minNodes: 4,
  services: [{ name: 'app', command: ['app'], port: 8080 }],
  declared: {
    sysctls: [{ key: 'vm.swappiness', value: '60' }],
    files: [{ path: CONFIG, content: 'port = 80\n', mode: '640', reload: 'app' }],
    logs: [{ path: LOG, maxBytes: MAX_LOG_BYTES, keep: 3, reload: 'app', alert: undefined }],
    cleanups: [],
    certificates: [],
    resolvers: [],
  },
  durationMs: 120 * S,
  schedule: (cluster) => {
    const linux = (index: number) => cluster.node(index).linux;
    for (const { linux: machine } of cluster.nodes) {
      machine.files.put(CONFIG, utf8('port = 80\n'), 0o640);
      machine.files.put(UNDECLARED, utf8('as it was'));
      machine.files.put(LOG, utf8(''));
    }
    cluster.scheduler.at(10 * S, () => linux(1).setSysctl('vm.swappiness', '100'));
    cluster.scheduler.at(12 * S, () => linux(2).files.put(CONFIG, utf8('port = 666\n'), 0o640));
    cluster.scheduler.at(14 * S, () => linux(3).files.delete(CONFIG));
    cluster.scheduler.at(16 * S, () => linux(1).files.put(LOG, utf8('x'.repeat(2 * MAX_LOG_BYTES))));
    cluster.scheduler.at(18 * S, () => linux(2).setSysctl('vm.dirty_ratio', '99'));
    cluster.scheduler.at(20 * S, () => linux(2).files.put(UNDECLARED, utf8('changed')));
  },
  expect: (cluster: Cluster) => {
    const text = (index: number, path: string) =>
      new TextDecoder().decode(cluster.node(index).linux.files.content(path) ?? utf8('(none)'));
    const sysctl = (index: number, key: string) => JSON.stringify(cluster.node(index).linux.read(['sysctl.read', key]));
    const promises: [string, boolean][] = [
      ['the sysctl of node-1 is as declared', sysctl(1, 'vm.swappiness').includes('"60"')],
      ['the file of node-2 is as declared', text(2, CONFIG) === 'port = 80\n'],
      ['the deleted file of node-3 is there again', text(3, CONFIG) === 'port = 80\n'],
      ['the log of node-1 is rotated', text(1, LOG) === '' && text(1, `${LOG}.1`).length === 2 * MAX_LOG_BYTES],
      ['what was not declared is left alone', sysctl(2, 'vm.dirty_ratio').includes('"99"') && text(2, UNDECLARED) === 'changed'],
    ];
    return promises.filter(([, kept]) => !kept).map(([promise]) => promise);
  },
};
