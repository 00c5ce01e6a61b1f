// Log lines on the users of services that declare none.
import { readFileSync } from 'node:fs';
import type { ServiceSpec } from '../../ports/actuator.ts';

interface Line {
  level: 'info' | 'warn';
  text: string;
}

/** @param hasOwnUsers the actuator runs them as separate users. */
export function describeUsers(services: readonly ServiceSpec[], hasOwnUsers: boolean): Line[] {
  const plain = services.filter(({ unit, user }) => unit === undefined && user === undefined);
  if (plain.length === 0) return [];
  const names = plain.map(({ name }) => name).join(', ');
  if (!hasOwnUsers) {
    const why = 'because the actuator does not run as root or is older than 0.4.0';
    const text = `services without \`user\` run with the agent’s rights, ${why}: ${names}`;
    return [{ level: 'info', text }];
  }
  const remedy = 'set `user` for a service that needs more (docs/CONFIG.md, "Who a service runs as")';
  const free = firstFreePort();
  return [
    { level: 'info', text: `services without \`user\` run as separate users, with no files: ${names}; ${remedy}` },
    ...plain.flatMap(({ name, port }): Line[] =>
      port === undefined || port >= free
        ? []
        : [
            {
              level: 'warn',
              text: `${name}: its separate user cannot bind \`port\` ${port}, as it is below ${free}: ${remedy}`,
            },
          ],
    ),
  ];
}

/** The first port that every user may bind: in containers often 0. */
function firstFreePort(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  } catch {
    return 1_024;
  }
}
