// @ts-check
// The web UI of an agent: reads its API and shows the answers; it changes nothing. No dependencies, no build.

const $ = (id) => /** @type {any} */ (document.getElementById(id));
const SVG = 'http://www.w3.org/2000/svg';
const SECOND_MS = 1_000;
const SELDOM_MS = 5_000;
/** After this time without an answer the agent counts as down. */
const SILENT_MS = 5_000;
/** Time-out of a request that other machines answer; a query of the query box itself may take ten seconds. */
const REQUEST_MS = 20_000;

/** Characters that change the direction of text, which can make one name look like another. */
const TURNS = /[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Text is always set as text: data of machines is never parsed as HTML. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children.map(shown));
  return element;
}
const shown = (child) => (child instanceof Node ? child : String(child).replace(TURNS, '\ufffd'));

function draw(name, attributes = {}, text = '') {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text !== '') element.textContent = text;
  return element;
}

// Requests

async function api(path, body) {
  const token = sessionStorage.getItem('token');
  alive.askedMs ??= Date.now();
  const response = await fetch(path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json', ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
    signal: AbortSignal.timeout(REQUEST_MS),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = await response.json();
  answered();
  // This request, or every request to this agent, needs a token.
  if (response.status === 401 || /needs a token/.test(answer.error ?? '')) $('login').hidden = false;
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

// Whether the agent answers

/** When the agent answered last, and since when a request is open. A hidden page sends no requests. */
const alive = { heardMs: Date.now(), askedMs: /** @type {number | undefined} */ (undefined), title: '' };

/** Any answer, also an error, shows that the agent is up. */
function answered() {
  alive.heardMs = Date.now();
  alive.askedMs = undefined;
  showSilence();
}

function showSilence() {
  const isSilent = alive.askedMs !== undefined && Date.now() - alive.askedMs >= SILENT_MS;
  if (isSilent === document.body.classList.contains('stale')) return;
  document.body.classList.toggle('stale', isSilent);
  $('silent').hidden = !isSilent;
  if (!isSilent) {
    document.title = alive.title; // until the next status
    return;
  }
  alive.title = document.title;
  const since = new Date(alive.heardMs);
  $('silent').textContent =
    `This agent has not answered since ${since.toLocaleString()}. The data below is from that time. Retrying every second.`;
  $('state').textContent = 'no answer';
  document.title = `No answer: ${alive.title.replace(/^● /, '')}`;
}

const ask = (sql, timeoutMs = 4_000) => api('/v1/query', { sql, timeoutMs });

// Tables

function cells(value) {
  const isNumber = typeof value === 'number';
  const text = value === null ? '–' : isNumber && !Number.isInteger(value) ? value.toPrecision(4) : value;
  return make('td', isNumber ? { class: 'number' } : {}, text);
}

function table(element, headers, rows) {
  const isNumeric = headers.map(
    (_, at) => rows.length > 0 && rows.every((row) => typeof row[at] === 'number' || row[at] === null),
  );
  const heads = headers.map((one, at) => make('th', { scope: 'col', ...(isNumeric[at] ? { class: 'number' } : {}) }, one));
  const body = rows.map((row) => make('tr', {}, ...row.map((one) => (one instanceof Node ? one : cells(one)))));
  element.replaceChildren(make('thead', {}, make('tr', {}, ...heads)), make('tbody', {}, ...body));
}

const bytes = (value) => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const at = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  return `${(value / 1024 ** at).toFixed(at === 0 ? 0 : 1)} ${units[at]}`;
};
const percent = (value) => `${(value * 100).toFixed(0)} %`;
const clock = (ms) => new Date(ms).toLocaleTimeString();

// The swarm

async function showSwarm() {
  const [members, { rows }] = await Promise.all([
    api('/v1/members'),
    ask('select peer, cpu, memory, psi_memory, open_incidents, age_ms from nodes'),
  ]);
  const of = new Map(rows.map(([peer, ...figures]) => [peer, figures]));
  table(
    $('members'),
    ['node', 'state', 'role', 'cpu', 'memory', 'incidents', 'status'],
    members.map(({ name, peer, state, coordinator, issuer, accusedBy }) => {
      const [cpu = null, memory = null, , incidents = null, ageMs = null] = of.get(peer) ?? [];
      const roles = [coordinator ? 'leader' : '', issuer ? 'issuer' : ''].filter((one) => one !== '').join(', ');
      const seen = make(
        'td',
        { class: state, title: accusedBy.length > 0 ? `unreachable from ${accusedBy.join(', ')}` : '' },
        state,
      );
      return [
        name,
        seen,
        roles,
        cpu === null ? null : percent(cpu),
        memory === null ? null : percent(memory),
        incidents,
        ageMs === null ? null : `${Math.round(ageMs / 1000)} s ago`,
      ];
    }),
  );
  showMap(members);
}

function showMap(members) {
  const map = $('map');
  const place = (index) => {
    const angle = (index / members.length) * 2 * Math.PI - Math.PI / 2;
    const radius = members.length === 1 ? 0 : 80;
    return [Math.cos(angle) * radius, Math.sin(angle) * radius];
  };
  const centre = members.findIndex(({ coordinator }) => coordinator);
  const lines =
    centre < 0
      ? []
      : members.map((_, index) => {
          const [[x1, y1], [x2, y2]] = [place(centre), place(index)];
          return draw('line', { x1, y1, x2, y2 });
        });
  const size = Math.max(2, Math.min(9, 160 / members.length));
  const dots = members.flatMap(({ name, state, coordinator }, index) => {
    const [cx, cy] = place(index);
    const dot = draw('circle', { cx, cy, r: size, class: `${state}${coordinator ? ' coordinator' : ''}` });
    dot.append(draw('title', {}, `${name}: ${state}${coordinator ? ', leader' : ''}`));
    return members.length > 40 ? [dot] : [dot, draw('text', { x: cx, y: cy + size + 8 }, name)];
  });
  map.replaceChildren(...lines, ...dots);
}

// The machine

const CHARTS = {
  cpu: ['CPU', percent, 1],
  memory: ['Memory', percent, 1],
  psiCpu: ['Waiting for CPU', (value) => `${value.toFixed(1)} %`, 100],
  psiMemory: ['Waiting for memory', (value) => `${value.toFixed(1)} %`, 100],
  psiIo: ['Waiting for I/O', (value) => `${value.toFixed(1)} %`, 100],
  diskWrite: ['Disk writes', (value) => `${bytes(value)}/s`, undefined],
  receive: ['Received', (value) => `${bytes(value)}/s`, undefined],
  transmit: ['Sent', (value) => `${bytes(value)}/s`, undefined],
};
const SPAN = 60;

function chart(values, most) {
  const top = most ?? Math.max(1, ...values);
  const points = values.map(
    (value, index) => `${SPAN - values.length + index},${(40 - (Math.min(value, top) / top) * 38 - 1).toFixed(2)}`,
  );
  const svg = draw('svg', { viewBox: `0 0 ${SPAN - 1} 40`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  svg.append(draw('polyline', { points: points.join(' ') }));
  return svg;
}

async function showMachine() {
  const [status, { series, processes, doing }] = await Promise.all([api('/v1/status'), api('/v1/overview')]);
  $('who').textContent = `${status.name} ${status.version}, swarm ${status.swarmId.slice(0, 8)}`;
  // Ready and ServicesReady should be true; every other condition should be false.
  const wrong = Object.entries(status.conditions)
    .filter(([name, value]) => value === (name.endsWith('Ready') ? 'False' : 'True'))
    .map(([name]) => name);
  $('state').textContent = [wrong.length === 0 ? 'healthy' : `unhealthy: ${wrong.join(', ')}`, `mode ${status.mode}`, doing]
    .filter((one) => one !== '')
    .join(' · ');
  document.title = wrong.length === 0 ? `KALOS ${status.name}` : `● KALOS ${status.name}`;
  $('charts').replaceChildren(
    ...Object.entries(CHARTS).map(([key, [name, text, most]]) => {
      const values = series[key] ?? [];
      const now = values.at(-1);
      return make(
        'figure',
        {},
        make('figcaption', {}, name, make('b', {}, now === undefined ? '–' : text(now))),
        chart(values, most),
      );
    }),
  );
  table(
    $('processes'),
    ['pid', 'name', 'state', 'cpu', 'memory', 'threads'],
    processes.map(({ pid, name, state, cpu, rssBytes, threads }) => [pid, name, state, percent(cpu), bytes(rssBytes), threads]),
  );
}

// The timeline

const NEWEST =
  'select id, node, target, summary, state, outcome, opened_ms, closed_ms from incidents order by opened_ms desc limit 50';

/** Shows the steps of an incident, from its own machine. */
async function showSteps(id, place) {
  const { incident } = await api(`/v1/incidents/${id}/explanation`);
  place.replaceChildren(...incident.steps.map(({ atMs, stage, text }) => make('p', {}, `${clock(atMs)} ${stage}: ${text}`)));
}

/** The line of an incident. It is created once, so that focus and open details stay. */
function lineOf(id) {
  const story = make('div');
  const details = make('details', { 'data-id': id }, make('summary'), story);
  details.addEventListener('toggle', () => details.open && showStory(id, story));
  return make('li', {}, details);
}

const showStory = (id, story) =>
  showSteps(id, story).catch((error) => story.replaceChildren(make('p', {}, `no answer: ${error.message}`)));

async function showTimeline() {
  const list = $('incidents');
  const { rows } = await ask(NEWEST);
  if (rows.length === 0) return list.replaceChildren(make('li', {}, 'No incidents yet.'));
  const known = new Map([...list.children].map((li) => [li.querySelector('details')?.getAttribute('data-id'), li]));
  const lines = rows.map(([id, node, target, summary, state, outcome, openedMs, closedMs]) => {
    const line = known.get(id) ?? lineOf(id);
    const took = closedMs === null ? '' : `, ${((closedMs - openedMs) / 1000).toFixed(1)} s`;
    const text = [
      `${new Date(openedMs).toLocaleString()} `,
      make('b', {}, `${target} on ${node}`),
      ` ${summary}: ${outcome === '' ? state : outcome}${took}`,
    ];
    line.querySelector('summary').replaceChildren(...text.map(shown));
    // An open incident may have new steps.
    if (line.querySelector('details').open && closedMs === null) showStory(id, line.querySelector('div'));
    return line;
  });
  for (const line of [...list.children]) if (!lines.includes(line)) line.remove();
  // Lines in the right place are not moved.
  lines.forEach((line, at) => {
    if (list.children[at] !== line) list.insertBefore(line, list.children[at] ?? null);
  });
}

// The query box

async function runQuery(sql) {
  $('answered').textContent = 'querying …';
  try {
    const { columns, rows, mode, expected, answered, missing, truncated, tookMs } = await ask(sql, 10_000);
    table($('rows'), columns, rows.slice(0, 1_000));
    const from = mode === 'local' ? 'from this agent’s own data' : `${answered} of ${expected} nodes answered`;
    const gone = missing.map(({ node, reason }) => `missing: ${node} (${reason})`);
    const cut = [
      ...truncated.map(({ node, table: name }) => `truncated: ${name} of ${node}`),
      ...(rows.length > 1_000 ? ['the first 1,000 are shown'] : []),
    ];
    $('answered').textContent = [`${rows.length} rows, ${from}, ${tookMs} ms`, ...gone, ...cut].join('; ');
  } catch (error) {
    $('rows').replaceChildren();
    $('answered').textContent = String(error instanceof Error ? error.message : error);
  }
}

$('query').addEventListener('submit', (event) => {
  event.preventDefault();
  runQuery($('sql').value);
});
$('sql').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) runQuery($('sql').value);
});
$('questions').addEventListener('change', () => {
  if ($('questions').value === '') return;
  $('sql').value = $('questions').value;
  runQuery($('sql').value);
});

async function showQuestions() {
  const questions = await api('/v1/questions');
  $('questions').append(...questions.map(({ asks, sql }) => make('option', { value: sql }, asks)));
}

// Keys, theme, and periodic updates

function swapTheme() {
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const now = document.documentElement.dataset.theme ?? (dark ? 'dark' : 'light');
  const next = now === 'dark' ? 'light' : 'dark';
  document.documentElement.dataset.theme = next;
  localStorage.setItem('theme', next);
}
const theme = localStorage.getItem('theme');
if (theme !== null) document.documentElement.dataset.theme = theme;
$('theme').addEventListener('click', swapTheme);
document.addEventListener('keydown', (event) => {
  if (event.target instanceof HTMLElement && event.target.matches('input, textarea, select')) {
    if (event.key === 'Escape') event.target.blur();
    return;
  }
  const sections = ['swarm', 'machine', 'timeline', 'ask'];
  const section = sections[Number(event.key) - 1];
  if (event.key === '/') {
    event.preventDefault();
    $('sql').focus();
  } else if (event.key === 'd') swapTheme();
  else if (section !== undefined) $(section).scrollIntoView();
});
$('login').addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem('token', $('token').value.trim());
  $('login').hidden = true;
  begin();
  runQuery($('sql').value);
});

/** Runs `show` periodically while the page is visible, and shows errors. */
function every(ms, show) {
  const run = async () => {
    try {
      if (!document.hidden) await show();
    } catch (error) {
      $('state').textContent = `no answer: ${error instanceof Error ? error.message : error}`;
    }
    setTimeout(run, ms);
  };
  run();
}

let begun = false;
async function begin() {
  await api('/v1/status').then(
    () => undefined,
    () => undefined,
  );
  if (!$('login').hidden || begun) return;
  begun = true;
  setInterval(showSilence, SECOND_MS);
  every(SECOND_MS, showMachine);
  every(SELDOM_MS / 2, showSwarm);
  every(SELDOM_MS, showTimeline);
  showQuestions().catch(() => undefined);
  runQuery($('sql').value);
}
begin();
