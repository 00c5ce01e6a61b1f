// Figures that the documentation names and that are constants of the sources: which document says it, in which words (`#` is the figure),
// which constant it is, in which folder, and how many of its units make one of the document's.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { productFiles } from './structure.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const S = 1_000;
const KIB = 1_024;
const MIB = KIB * KIB;

export interface Documented {
  document: string;
  words: string;
  folder: string;
  constant: string;
  unit: number;
}

const figures = (
  document: string,
  rows: readonly (readonly [words: string, folder: string, constant: string, unit?: number])[],
) => rows.map(([words, folder, constant, unit = 1]): Documented => ({ document, words, folder, constant, unit }));

export const DOCUMENTED: readonly Documented[] = [
  ...figures('docs/API.md', [
    ['`limit` is 1 to #,', 'node/api/', 'MAX_PAGE'],
    ['and # if only', 'node/api/', 'DEFAULT_PAGE'],
    ['A page is at most # MB', 'node/api/', 'MAX_PAGE_BYTES', MIB],
    ['the newest # items', 'node/api/', 'MAX_WHOLE'],
    ['more than # requests a second', 'node/api/', 'A_SECOND'],
    ['requests a second (# at once)', 'node/api/', 'AT_ONCE'],
    ['One client may have # listeners', 'node/api/', 'MAX_LISTENERS'],
    ['all clients together #.', 'node/api/', 'MAX_ALL_LISTENERS'],
  ]),
  ...figures('docs/ARCHITECTURE.md', [
    ['has been open for # s is escalated', 'node/agent/incident-loop', 'ESCALATE_AFTER_MS', S],
    ['There are at most # series', 'node/telemetry/', 'MAX_SERIES'],
  ]),
  ...figures('docs/CONFIG.md', [
    ['letters, digits, dot, dash; at most #.', 'swarm/identity/', 'MAX_NAME'],
    ['| 1 to #; only if the root keys', 'node/config/', 'MAX_ISSUERS'],
    ['`content` (# KiB)', 'node/config/', 'MAX_FILE_LENGTH', KIB],
    ['`renew_days` (#)', 'node/config/', 'DEFAULT_RENEW_DAYS'],
    ['`servers` (1 to # addresses)', 'node/config/', 'MAX_SERVERS'],
    ['has grown for # s without a break', 'node/telemetry/', 'WINDOW_MS', S],
    ['`max_bytes` again within # s', 'node/telemetry/', 'FULL_AFTER_S'],
    ['does not answer within # s is `unseen`', 'node/telemetry/', 'ANSWER_WITHIN_MS', S],
    ['The first # bytes', 'node/telemetry/', 'MAX_LINE_BYTES'],
    ['more than # MiB ahead of its reader', 'node/telemetry/', 'MAX_BEHIND_BYTES', MIB],
    ['A pattern has at most # characters', 'node/config/', 'MAX_PATTERN_LENGTH'],
    ['characters (# in a policy or a query)', 'node/patterns', 'MAX_PATTERN_LENGTH'],
    ['at most # instructions', 'node/patterns', 'MAX_INSTRUCTIONS'],
    ['may search # characters', 'node/patterns', 'MAX_STEPS'],
    ['`bind` at most # times', 'node/detection/', 'MAX_MACROS'],
    ['The newest # KiB are kept', 'node/cli/', 'MAX_KEPT_BYTES', KIB],
    ['| `policy_engine.max_rules` | # |', 'node/agent/', 'MAX_RULES'],
    ['| `policy_engine.max_concurrent_executions` | # |', 'node/config/', 'MAX_CONCURRENT'],
    ['| `policy_engine.evaluation_interval` | `"#s"` |', 'node/agent/', 'DEFAULT_INTERVAL_MS', S],
    ['| `ai_engine.anomaly_threshold` | # |', 'node/detection/', 'DEFAULT_FIRE_Z'],
  ]),
  ...figures('docs/DECISIONS.md', [
    ['with the coordinator every # s', 'node/coordination/', 'KEEP_EVERY_MS', S],
    ['It may run the service for # s', 'consensus/decisions/', 'PLACEMENT_MS', S],
    ['takes it for # s', 'consensus/decisions/', 'UNFIT_AFTER_MS', S],
    ['are gone or not ready after # s', 'consensus/decisions/', 'BACK_WITHIN_MS', S],
    ['| `slow` | round trips above # ms', 'node/coordination/', 'SLOW_MS'],
    ['| `lossy` | # %', 'node/coordination/', 'LOSSY_SHARE', 0.01],
    ['a clock that is more than # s', 'node/coordination/', 'SKEWED_MS', S],
    ['is still late by # ms', 'node/coordination/', 'RESTART_LAG_MS'],
  ]),
  ...figures('docs/PROTOCOL.md', [
    ['`[1, kind, body, [[key, signature], …]]`, at most # KiB', 'swarm/identity/', 'MAX_RECORD_BYTES', KIB],
    ['buckets that differ, up to # KiB', 'swarm/state/', 'SYNC_BYTES', KIB],
    ['payload, signature]`, at most # KiB', 'swarm/dissemination/', 'MAX_ENVELOPE_BYTES', KIB],
    ['is at most # bytes with its envelope', 'swarm/state/', 'MAX_STATUS_BYTES'],
    ['probe it every # s', 'swarm/membership/', 'PROBE_EVERY_MS', S],
    ['| envelopes that one origin signed, from any peer (more are not even checked) | #', 'swarm/state/', 'MESSAGES_A_SECOND'],
    ['Message ids are # bytes', 'swarm/libp2p/', 'MESSAGE_ID_BYTES'],
    ['# connections may be pending', 'swarm/libp2p/', 'MAX_PENDING_INBOUND'],
    ['A hello has # KiB', 'swarm/identity/', 'MAX_HELLO_BYTES', KIB],
    ['the answer to a request # MiB', 'swarm/libp2p/', 'MAX_ANSWER_BYTES', MIB],
    ['at most # members, 256', 'swarm/identity/', 'MAX_MEMBERS'],
    ['# issuers,', 'swarm/identity/', 'MAX_OTHERS'],
    ['and # revocations', 'swarm/identity/', 'MAX_REVOCATIONS'],
    ['in portions of # ms', 'swarm/libp2p/', 'PORTION_MS'],
    ['A claim is open for # s', 'consensus/vote/', 'VOTE_DEADLINE_MS', S],
    ['and lives for # s', 'consensus/vote/', 'CLAIM_LIFE_MS', S],
    ['considers at most # claims', 'consensus/vote/', 'MAX_CLAIMS_PER_MINUTE'],
  ]),
  ...figures('docs/QUERY.md', [
    ['| statement | # characters |', 'node/query/', 'MAX_SQL_LENGTH'],
    ['| rows of one peer and table | # rows', 'node/query/', 'MAX_ROWS_PER_PEER'],
    ['rows, # MB; the answer says', 'node/query/', 'MAX_BYTES_PER_PEER', 1e6],
    ['| rows before SQL runs | #:', 'node/query/', 'MAX_ROWS'],
    ['| rows of all machines and one table | # MB', 'node/query/', 'MAX_GATHERED_BYTES', 1e6],
    ["| queries of an agent's own users | # at a time", 'node/query/', 'AT_ONCE'],
    ['at a time, # of one client', 'node/query/', 'EACH'],
    ['# of one client waiting', 'node/query/', 'MAX_WAITING'],
    ['for these queries | # a second', 'swarm/query/', 'A_SECOND'],
    ['| SQL itself | # s', 'node/query/', 'MAX_SQL_MS', S],
    ['| requests over HTTP | # a second', 'node/api/', 'A_SECOND'],
    ['# that wait on a connection', 'node/api/', 'MAX_PIPELINED'],
    ['a body of # KiB without a token', 'node/api/', 'MAX_LOOK_BODY_BYTES', KIB],
    ['| unread answers over HTTP | # MB', 'node/api/', 'MAX_UNREAD_BYTES', MIB],
    ['of one client, # MB of all', 'node/api/', 'MAX_ALL_UNREAD_BYTES', MIB],
    ['that reads nothing for # s', 'node/api/', 'READ_WITHIN_MS', S],
    ['| connections over HTTP | #:', 'node/api/', 'MAX_CONNECTIONS'],
    ['at most # values are used', 'node/query/', 'MAX_VALUES'],
  ]),
];

/** All constants of the sources that are a product of numbers. */
const CONSTANTS = productFiles().flatMap((path) =>
  [...readFileSync(join(ROOT, path), 'utf8').matchAll(/^(?:export )?const ([A-Z][A-Z_]*) = ([\d_.]+(?: \* [\d_.]+)*);/gm)].map(
    ([, name, factors = '']) => ({
      path,
      name,
      value: factors.split('*').reduce((product, factor) => product * Number(factor.replaceAll('_', '')), 1),
    }),
  ),
);

/** @returns what is wrong with it: it is no constant, or the document does not say it; undefined where nothing is. */
export function wrongFigure({ document, words, folder, constant, unit }: Documented, text: string): string | undefined {
  const found = CONSTANTS.filter(({ path, name }) => name === constant && path.startsWith(folder));
  const [{ value } = { value: 0 }] = found;
  if (found.length !== 1) return `${folder}…: ${found.length} constants ${constant}`;
  const figures = [value / unit].flatMap((one) => [one.toLocaleString('en-US'), String(one)]);
  const said = text.replace(/\s+/g, ' ');
  return figures.some((one) => said.includes(words.replace('#', one)))
    ? undefined
    : `${document}: ${words.replace('#', figures[0] ?? '')}`;
}
