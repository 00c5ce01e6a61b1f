// The machine's network: interfaces and their addresses, routes, names; and containers from Docker's daemon.
import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { ipv6 } from './processes.ts';
import { below, integer, line, lines, link, list, number, type Reader, type Row } from './read.ts';

const NET = '/sys/class/net';
const DOCKER_SOCKET = '/var/run/docker.sock';
const DOCKER_MS = 3_000;
const MAX_DOCKER_BYTES = 8 * 1024 * 1024;

export const interfaceAddresses: Reader = () =>
  Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    (addresses ?? []).map((one): Row => {
      const isV4 = one.family === 'IPv4';
      const [address, mask] = [one.address, one.netmask].map((text) => text.split('.').map(Number)) as [number[], number[]];
      const broadcast = address.map((byte, i) => byte | (~(mask[i] ?? 0) & 0xff)).join('.');
      return {
        interface: name,
        address: one.address,
        mask: one.netmask,
        broadcast: isV4 && !one.internal ? broadcast : '',
        point_to_point: '',
        type: one.internal ? 'loopback' : 'unknown',
        friendly_name: name,
      };
    }),
  );

/** A file of the bonding driver among the devices. */
const interfaces = (): string[] => list(NET).filter((name) => line(`${NET}/${name}/ifindex`) !== undefined);

/** The kernel shows -1 for an unknown speed. */
const known = (speed: ReturnType<typeof integer>): ReturnType<typeof integer> =>
  speed === undefined || speed < 0 ? undefined : speed;

export const interfaceDetails: Reader = () =>
  interfaces().map((name) => {
    const of = (file: string): ReturnType<typeof integer> => integer(line(`${NET}/${name}/${file}`));
    const statistic = (file: string): ReturnType<typeof integer> => of(`statistics/${file}`);
    return {
      interface: name,
      mac: line(`${NET}/${name}/address`) ?? '',
      type: of('type'),
      mtu: of('mtu'),
      metric: 0,
      flags: of('flags'),
      state: line(`${NET}/${name}/operstate`),
      ipackets: statistic('rx_packets'),
      opackets: statistic('tx_packets'),
      ibytes: statistic('rx_bytes'),
      obytes: statistic('tx_bytes'),
      ierrors: statistic('rx_errors'),
      oerrors: statistic('tx_errors'),
      idrops: statistic('rx_dropped'),
      odrops: statistic('tx_dropped'),
      collisions: statistic('collisions'),
      last_change: -1,
      link_speed: known(of('speed')),
      pci_slot: link(`${NET}/${name}/device`)?.split('/').at(-1) ?? '',
    };
  });

const RTF_GATEWAY = 2;
const bytesOf = (hex: string): number[] => (hex.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16));
const bits = (bytes: readonly number[]): number =>
  bytes.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);

function routesV4(): Row[] {
  return lines('/proc/net/route')
    .slice(1)
    .flatMap((one): Row[] => {
      const [name = '', destination = '', gateway = '', flags = '', , , metric, mask = '', mtu] = one.trim().split(/\s+/);
      if (![destination, gateway, mask].every((hex) => /^[0-9A-F]{8}$/i.test(hex)) || !/^[0-9A-F]+$/i.test(flags)) return [];
      const address = (hex: string): string => bytesOf(hex).reverse().join('.');
      const isGateway = (Number.parseInt(flags, 16) & RTF_GATEWAY) !== 0;
      return [
        {
          destination: address(destination),
          netmask: bits(bytesOf(mask)),
          gateway: isGateway ? address(gateway) : '',
          source: '',
          flags: Number.parseInt(flags, 16),
          interface: name,
          mtu: number(mtu),
          metric: number(metric),
          type: isGateway ? 'gateway' : 'local',
          hopcount: 0,
        },
      ];
    });
}

function routesV6(): Row[] {
  return lines('/proc/net/ipv6_route').flatMap((one): Row[] => {
    const [destination = '', prefix = '', source = '', , next = '', metric = '', , , flags = '', name = ''] = one
      .trim()
      .split(/\s+/);
    if (![destination, source, next].every((hex) => /^[0-9a-f]{32}$/i.test(hex)) || name === '') return [];
    const isGateway = (Number.parseInt(flags, 16) & RTF_GATEWAY) !== 0;
    return [
      {
        destination: ipv6(bytesOf(destination)),
        netmask: Number.parseInt(prefix, 16),
        gateway: isGateway ? ipv6(bytesOf(next)) : '',
        source: /^0+$/.test(source) ? '' : ipv6(bytesOf(source)),
        flags: Number.parseInt(flags, 16),
        interface: name,
        mtu: 0,
        metric: Number.parseInt(metric, 16),
        type: isGateway ? 'gateway' : 'local',
        hopcount: 0,
      },
    ];
  });
}

export const routes: Reader = () => [...routesV4(), ...routesV6()];

const ATF_PERMANENT = 4;

export const arpCache: Reader = () =>
  lines('/proc/net/arp')
    .slice(1)
    .flatMap((one): Row[] => {
      const [address, , flags = '0', mac, , name] = one.trim().split(/\s+/);
      if (name === undefined) return [];
      return [{ address, mac, interface: name, permanent: (Number(flags) & ATF_PERMANENT) === 0 ? '0' : '1' }];
    });

/** A file of names (hosts(5), services(5)), without comments: each line's words. */
const words = (path: string): string[][] =>
  lines(path)
    .map((one) => one.replace(/#.*/, '').trim())
    .filter((one) => one !== '')
    .map((one) => one.split(/\s+/));

export const etcHosts: Reader = () =>
  words('/etc/hosts').flatMap(([address = '', ...names]): Row[] =>
    names.length === 0 ? [] : [{ address, hostnames: names.join(' ') }],
  );

export const etcServices: Reader = () =>
  words('/etc/services').flatMap(([name = '', where = '', ...aliases]): Row[] => {
    const [port, protocol] = where.split('/');
    const known = protocol !== undefined && /^\d+$/.test(port ?? '');
    return known ? [{ name, port: number(port), protocol, aliases: aliases.join(' '), comment: '' }] : [];
  });

/** resolv.conf(5): the keyword begins the line; `;` and `#` begin a comment; of `domain` and `search` the last line counts. */
export const dnsResolvers: Reader = () => {
  const found = new Map<string, string[]>([
    ['nameserver', []],
    ['search', []],
    ['options', []],
  ]);
  for (const one of lines('/etc/resolv.conf')) {
    if (/^[;#]/.test(one)) continue;
    const [keyword = '', ...rest] = one.split(/\s+/);
    const end = rest.findIndex((word) => word === '' || /^[;#]/.test(word));
    const values = end < 0 ? rest : rest.slice(0, end);
    if (keyword === 'nameserver') found.get(keyword)?.push(...values.slice(0, 1));
    else if (keyword === 'search' || keyword === 'domain')
      found.set('search', keyword === 'domain' ? values.slice(0, 1) : values);
    else if (keyword === 'options') found.get(keyword)?.push(...values);
  }
  return [...found].flatMap(([type, values]) => values.map((address, id) => ({ id, type, address, netmask: '', options: 0 })));
};

function docker(path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: below(DOCKER_SOCKET), path, timeout: DOCKER_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MAX_DOCKER_BYTES) call.destroy(new Error('the answer is too long'));
      });
      response.on('end', () => {
        try {
          resolve(JSON.parse(text));
        } catch (error) {
          reject(error as Error);
        }
      });
    });
    call.on('timeout', () => call.destroy(new Error('no answer')));
    call.on('error', reject);
    call.end();
  });
}

interface Container {
  Id: string;
  Names?: string[];
  Image: string;
  ImageID: string;
  Command: string;
  Created: number;
  State: string;
  Status: string;
}

/** Empty if no daemon listens. */
export const dockerContainers: Reader = async () => {
  const found = await docker('/containers/json?all=1').catch(() => []);
  if (!Array.isArray(found)) return [];
  return (found as Container[]).map((one) => ({
    id: one.Id,
    name: one.Names?.[0] ?? '',
    image: one.Image,
    image_id: one.ImageID,
    command: one.Command,
    created: one.Created,
    state: one.State,
    status: one.Status,
  }));
};
