// The tables of the network: interfaces, routes, neighbours, and the containers that a daemon tells of.
import { createServer, type Server } from 'node:http';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { machineFiles } from '../support/machine-files.ts';

const { at, put, link, rows } = machineFiles();

it('interfaces have their figures, and those that are unknown are none', async () => {
  const net = '/sys/class/net/eth0';
  const files = {
    ifindex: '2',
    address: '02:00:00:00:00:01',
    type: '1',
    mtu: '1500',
    flags: '0x1003',
    operstate: 'up',
    speed: '0',
    'statistics/rx_packets': '1',
    'statistics/tx_packets': '2',
    'statistics/rx_bytes': '18446744073709551615',
    'statistics/tx_bytes': '4',
    'statistics/rx_errors': '5',
    'statistics/tx_errors': '6',
    'statistics/rx_dropped': '7',
    'statistics/tx_dropped': '8',
    'statistics/collisions': '9',
  };
  for (const [name, text] of Object.entries(files)) put(`${net}/${name}`, `${text}\n`);
  link(`${net}/device`, '../../../0000:00:03.0');
  expect(await rows('interface_details')).toEqual([
    {
      interface: 'eth0',
      mac: '02:00:00:00:00:01',
      type: 1,
      mtu: 1_500,
      metric: 0,
      flags: 0x1003,
      state: 'up',
      ipackets: 1,
      opackets: 2,
      ibytes: 2n ** 64n - 1n,
      obytes: 4,
      ierrors: 5,
      oerrors: 6,
      idrops: 7,
      odrops: 8,
      collisions: 9,
      last_change: -1,
      link_speed: 0,
      pci_slot: '0000:00:03.0',
    },
  ]);
  put('/sys/class/net/tun0/ifindex', '3\n');
  expect((await rows('interface_details')).find((row) => row.interface === 'tun0')).toMatchObject({
    mac: '',
    mtu: undefined,
    state: undefined,
    link_speed: undefined,
    pci_slot: '',
  });
});

it('addresses are those of this machine, the loopback without a broadcast', async () => {
  const found = await rows('interface_addresses');
  expect(found).toHaveLength(Object.values(networkInterfaces()).flatMap((all) => all ?? []).length);
  expect(found.find(({ address }) => address === '127.0.0.1')).toEqual({
    interface: 'lo',
    address: '127.0.0.1',
    mask: '255.0.0.0',
    broadcast: '',
    point_to_point: '',
    type: 'loopback',
    friendly_name: 'lo',
  });
});

describe('routes', () => {
  it('of IPv4 have words of the machine’s own byte order, and a gateway where the flag says so', async () => {
    put(
      '/proc/net/route',
      [
        'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT',
        'eth0\t00000000\t0102000A\t0013\t0\t0\t100\t00000000\t1400\t0\t0',
        'eth0\t0002000A\t00000000\t0001\t0\t0\t7\t00FEFFFF\t0\t0\t0',
        'eth1\tbroken\t00000000\t0001\t0\t0\t7\t00FFFFFF\t0\t0\t0',
        'eth2\t0002000A\t00000000\tx\t0\t0\t7\t00FFFFFF\t0\t0\t0',
        'eth3\t0002000A\t00000000\t0001\t0\t0\t7\t00FFFFFFF\t0\t0\t0',
        '',
      ].join('\n'),
    );
    const one = { source: '', interface: 'eth0', hopcount: 0 };
    expect(await rows('routes')).toEqual([
      { ...one, destination: '0.0.0.0', netmask: 0, gateway: '10.0.2.1', flags: 0x13, mtu: 1_400, metric: 100, type: 'gateway' },
      { ...one, destination: '10.0.2.0', netmask: 23, gateway: '', flags: 1, mtu: 0, metric: 7, type: 'local' },
    ]);
  });

  it('of IPv6 have prefixes and metrics in hexadecimal', async () => {
    const zeros = '0'.repeat(32);
    const line = (destination: string, prefix: string, source: string, next: string, flags: string, rest = ' eth0') =>
      `${destination} ${prefix} ${source} 00 ${next} 00000400 00000001 00000000 ${flags}    ${rest}`;
    put(
      '/proc/net/ipv6_route',
      [
        line('20010db8000000000000000000000000', '40', zeros, zeros, '00000001'),
        line(zeros, '00', '20010db8000000000000000000000005', 'fe800000000000000000000000000001', '00000013'),
        line(zeros, '00', zeros, zeros, '00000001', ''),
        line('short', '00', zeros, zeros, '00000001'),
        '',
      ].join('\n'),
    );
    const one = { interface: 'eth0', mtu: 0, metric: 1_024, hopcount: 0 };
    expect(await rows('routes')).toEqual([
      { ...one, destination: '2001:db8::', netmask: 64, gateway: '', source: '', flags: 1, type: 'local' },
      { ...one, destination: '::', netmask: 0, gateway: 'fe80::1', source: '2001:db8::5', flags: 0x13, type: 'gateway' },
    ]);
  });
});

it('neighbours are permanent where the flag says so', async () => {
  put(
    '/proc/net/arp',
    [
      'IP address HW type Flags HW address Mask Device',
      '10.0.0.1 0x1 0x2 02:00:00:00:00:01 * eth0',
      '10.0.0.2 0x1 0x6 02:00:00:00:00:02 * eth1',
      'cut 0x1 0x6',
      '',
    ].join('\n'),
  );
  expect(await rows('arp_cache')).toEqual([
    { address: '10.0.0.1', mac: '02:00:00:00:00:01', interface: 'eth0', permanent: '0' },
    { address: '10.0.0.2', mac: '02:00:00:00:00:02', interface: 'eth1', permanent: '1' },
  ]);
});

it('of resolv.conf(5) the last of domain and search counts, and of a nameserver one address', async () => {
  put('/etc/resolv.conf', 'search a.example\ndomain b.example c.example\nnameserver 192.0.2.1 192.0.2.2\nother 1\n');
  expect(await rows('dns_resolvers')).toEqual([
    { id: 0, type: 'nameserver', address: '192.0.2.1', netmask: '', options: 0 },
    { id: 0, type: 'search', address: 'b.example', netmask: '', options: 0 },
  ]);
});

it('services have a port, a protocol and other names', async () => {
  put('/etc/services', 'http 80/tcp www www-http # the web\nbare 80\n');
  expect(await rows('etc_services')).toEqual([{ name: 'http', port: 80, protocol: 'tcp', aliases: 'www www-http', comment: '' }]);
});

describe('containers', () => {
  let server: Server | undefined;
  afterEach(() => void server?.close());
  const answering = async (text: string): Promise<string[]> => {
    const asked: string[] = [];
    put('/var/run/made', '');
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.end(text);
    });
    await new Promise<void>((resolve) => server?.listen(at('/var/run/docker.sock'), resolve));
    return asked;
  };

  it('are as their daemon tells of them, running or not', async () => {
    const one = { Id: 'abc', Names: ['/web', '/other'], Image: 'i', ImageID: 'sha', Command: 'c', Created: 5 };
    const asked = await answering(JSON.stringify([{ ...one, State: 's', Status: 'Up' }, { Id: 'bare' }]));
    const [first, second] = await rows('docker_containers');
    expect(asked).toEqual(['/containers/json?all=1']);
    expect(first).toEqual({
      id: 'abc',
      name: '/web',
      image: 'i',
      image_id: 'sha',
      command: 'c',
      created: 5,
      state: 's',
      status: 'Up',
    });
    expect(second).toMatchObject({ id: 'bare', name: '' });
  });

  it.each([['{"message":"no"}'], ['no JSON'], [`[{"Id":"x"}${' '.repeat(8 * 1024 * 1024)}]`]])(
    'are none where it answers %.20s',
    async (text) => {
      await answering(text);
      expect(await rows('docker_containers')).toEqual([]);
    },
  );

  it('are taken from an answer of up to 8 MiB', async () => {
    await answering(`[{"Id":"x"}${' '.repeat(8 * 1024 * 1024 - 12)}]`);
    expect(await rows('docker_containers')).toMatchObject([{ id: 'x' }]);
  });

  it('are none where no daemon listens', async () => {
    expect(await rows('docker_containers')).toEqual([]);
  });
});
