// Whom the services run as that do not say it, in words for the log.
import { readFileSync } from 'node:fs';
import type { ServiceSpec } from '../../ports/actuator.ts';

interface Line {
  level: 'info' | 'warn';
  text: string;
}

/** @param hasOwnUsers the actuator runs them as users of their own. */
export function describeUsers(services: readonly ServiceSpec[], hasOwnUsers: boolean): Line[] {
  const plain = services.filter(({ unit, user }) => unit === undefined && user === undefined);
  if (plain.length === 0) return [];
  const names = plain.map(({ name }) => name).join(', ');
  if (!hasOwnUsers) {
    const why = "as the actuator is not root's or is older than 0.4.0";
    const text = `services without \`user\` run as the agent's user and can do what it can, ${why}: ${names}`;
    return [{ level: 'info', text }];
  }
  const remedy = 'one that needs more must name its `user` (docs/CONFIG.md, "Who a service runs as")';
  const free = firstFreePort();
  return [
    { level: 'info', text: `services without \`user\` run as users of their own, with no files: ${names}; ${remedy}` },
    ...plain.flatMap(({ name, port }): Line[] =>
      port === undefined || port >= free
        ? []
        : [
            {
              level: 'warn',
              text: `${name}: its own user can bind no port below ${free}, but its \`port\` is ${port}: ${remedy}`,
            },
          ],
    ),
  ];
}

/** From which on everybody may bind ports: in containers often all of them. */
function firstFreePort(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  } catch {
    return 1_024;
  }
}
