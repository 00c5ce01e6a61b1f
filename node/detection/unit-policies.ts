// Shipped policies for services that systemd runs. It does not say who stopped a unit, so one that is inactive is reported and left for a
// person to start; one that systemd calls failed is an exited service like any other (policy.ts).

/** Neither up nor down, as systemd says it. */
const UNSETTLED = `['activating', 'deactivating', 'unknown']`;
const UNIT = { unit: 'web.service', state: 'stopped' };

const DOWN = { scope: 'service', condition: 'ServicesReady', claim: 'service-down' } as const;

interface UnitTest {
  name: string;
  target: Record<string, string | number | boolean>;
  for_s?: number;
  fires: boolean;
}
const tests = (...all: UnitTest[]): UnitTest[] => all;

/** Parsed with the others, in policy.ts. */
export const UNIT_POLICIES = [
  {
    name: 'unit-stopped',
    ...DOWN,
    when: `service.unit != '' && service.state == 'stopped' && !service.task && !service.on_purpose && !(service.unit_state in ${UNSETTLED})`,
    for_s: 10,
    summary:
      'a declared unit does not run in systemd, and no service.stop asked for that: service.start starts it, service.stop has it stay down',
    test: tests(
      { name: 'one that systemctl stopped', target: { ...UNIT, unit_state: 'inactive' }, for_s: 11, fires: true },
      { name: 'one that is masked', target: { ...UNIT, unit_state: 'masked' }, for_s: 11, fires: true },
      { name: 'one that is not installed', target: { ...UNIT, unit_state: 'not-found' }, for_s: 11, fires: true },
      { name: 'one that waits for its next start', target: { ...UNIT, unit_state: 'auto-restart' }, for_s: 11, fires: true },
      {
        name: 'one that a person stopped',
        target: { ...UNIT, unit_state: 'inactive', on_purpose: true },
        for_s: 600,
        fires: false,
      },
      { name: 'one that a policy stopped', target: { ...UNIT, unit_state: 'inactive', by_policy: true }, for_s: 11, fires: true },
      { name: 'one that systemd starts', target: { ...UNIT, unit_state: 'activating' }, for_s: 11, fires: false },
      { name: 'a task at rest', target: { ...UNIT, unit_state: 'inactive', task: true }, for_s: 600, fires: false },
    ),
  },
  {
    name: 'unit-unsettled',
    ...DOWN,
    when: `service.unit_state in ${UNSETTLED} && !service.task`,
    for_s: 60,
    summary:
      'systemd has been starting or stopping a declared unit for a minute, or does not say how it is: see systemctl status',
    test: tests(
      { name: 'a stop that does not end', target: { ...UNIT, unit_state: 'deactivating' }, for_s: 61, fires: true },
      { name: 'a start that does not end', target: { ...UNIT, unit_state: 'activating' }, for_s: 61, fires: true },
      { name: 'no systemd', target: { ...UNIT, unit_state: 'unknown' }, for_s: 61, fires: true },
      { name: 'a slow start', target: { ...UNIT, unit_state: 'activating' }, for_s: 40, fires: false },
      { name: 'a long task', target: { ...UNIT, unit_state: 'activating', task: true }, for_s: 600, fires: false },
    ),
  },
  {
    name: 'unit-restarting',
    ...DOWN,
    when: `service.unit != '' && service.state != 'exited' && !service.task && service.exits >= 3`,
    clear_s: 30,
    summary: 'a declared unit keeps ending, and systemd keeps starting it again: see journalctl -u',
    test: tests(
      { name: 'three times within two minutes', target: { unit: 'web.service', unit_state: 'active', exits: 3 }, fires: true },
      { name: 'once', target: { unit: 'web.service', unit_state: 'active', exits: 1 }, for_s: 60, fires: false },
      { name: 'one that KALOS starts again', target: { exits: 5 }, for_s: 60, fires: false },
    ),
  },
];
