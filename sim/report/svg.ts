// Plots as SVG: lines over time, and bars on lanes. No script, so that one file shows everywhere.

const WIDTH = 960;
const LEFT = 70;
const RIGHT = 20;
const TOP = 34;
const BOTTOM = 30;
const TICKS = 6;
const COLOURS = ['#1f6feb', '#d1242f', '#1a7f37', '#9a6700', '#8250df'];

export interface Line {
  name: string;
  points: readonly (readonly [number, number])[];
}

export interface Bar {
  lane: string;
  from: number;
  to: number;
  text: string;
  tone: 'fault' | 'healed' | 'open';
}

const TONES = { fault: '#d1242f', healed: '#1a7f37', open: '#bf8700' } as const;

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[letter] ?? letter);
}

function frame(title: string, height: number, body: string): string {
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
    `font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="12" role="img" aria-label="${escapeHtml(title)}">` +
    `<text x="${LEFT}" y="18" font-size="14" font-weight="600" fill="#1f2328">${escapeHtml(title)}</text>${body}</svg>`
  );
}

/** A round step that gives about as many ticks as there is room for. */
function stepFor(range: number): number {
  const rough = range / TICKS;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1e-9)));
  return ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
}

function ticks(from: number, to: number): number[] {
  const step = stepFor(to - from);
  const first = Math.ceil(from / step) * step;
  return Array.from({ length: Math.floor((to - first) / step) + 1 }, (_, index) => first + index * step);
}

const short = (value: number): string =>
  Math.abs(value) >= 1e6
    ? `${+(value / 1e6).toFixed(1)} M`
    : Math.abs(value) >= 1e4
      ? `${+(value / 1e3).toFixed(1)} k`
      : `${+value.toFixed(2)}`;

const scale = (from: number, to: number, low: number, high: number) => (value: number) =>
  low + ((value - from) / Math.max(1e-9, to - from)) * (high - low);

function axis(until: number, x: (value: number) => number, top: number, bottom: number, unit: string): string {
  return ticks(0, until)
    .map(
      (at) =>
        `<line x1="${x(at)}" x2="${x(at)}" y1="${top}" y2="${bottom}" stroke="#eaeef2"/>` +
        `<text x="${x(at)}" y="${bottom + 16}" text-anchor="middle" fill="#59636e">${short(at)}${unit}</text>`,
    )
    .join('');
}

/** Values over seconds, or over something else, from 0. */
export function lineChart(title: string, unit: string, lines: readonly Line[], height = 240, across = ' s'): string {
  const points = lines.flatMap((line) => line.points);
  const untilS = Math.max(1, ...points.map(([at]) => at));
  const most = Math.max(1, ...points.map(([, value]) => value));
  const bottom = height - BOTTOM;
  const x = scale(0, untilS, LEFT, WIDTH - RIGHT);
  const y = scale(0, most, bottom, TOP);
  const levels = ticks(0, most).map(
    (level) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(level)}" y2="${y(level)}" stroke="#eaeef2"/>` +
      `<text x="${LEFT - 8}" y="${y(level) + 4}" text-anchor="end" fill="#59636e">${short(level)}</text>`,
  );
  const drawn = lines.map(({ points: own }, index) => {
    const path = own.map(([at, value], first) => `${first === 0 ? 'M' : 'L'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join('');
    return `<path d="${path}" fill="none" stroke="${COLOURS[index % COLOURS.length]}" stroke-width="1.6"/>`;
  });
  const legend = lines.map(
    ({ name }, index) =>
      `<text x="${WIDTH - RIGHT - (lines.length - 1 - index) * 170}" y="18" text-anchor="end" fill="${COLOURS[index % COLOURS.length]}">${escapeHtml(name)}</text>`,
  );
  const label = `<text x="8" y="${TOP - 2}" fill="#59636e">${escapeHtml(unit)}</text>`;
  return frame(title, height, axis(untilS, x, TOP, bottom, across) + levels.join('') + drawn.join('') + legend.join('') + label);
}

/** Bars on lanes over seconds, one lane a name. */
export function timeline(title: string, untilS: number, bars: readonly Bar[], lanes: readonly string[]): string {
  const laneHeight = lanes.length > 40 ? 10 : 18;
  const bottom = TOP + Math.max(1, lanes.length) * laneHeight;
  const x = scale(0, untilS, LEFT, WIDTH - RIGHT);
  const rows = lanes.map((lane, index) => {
    const y = TOP + index * laneHeight;
    const label = `<text x="${LEFT - 8}" y="${y + laneHeight / 2 + 4}" text-anchor="end" font-size="${laneHeight > 12 ? 11 : 8}" fill="#59636e">${escapeHtml(lane)}</text>`;
    const drawn = bars
      .filter((bar) => bar.lane === lane)
      .map(({ from, to, text, tone }) => {
        const half = laneHeight / 2 - 1;
        const top = y + (tone === 'fault' ? 1 : half + 1);
        const width = Math.max(2, x(Math.min(to, untilS)) - x(from));
        return `<rect x="${x(from).toFixed(1)}" y="${top}" width="${width.toFixed(1)}" height="${half}" rx="1.5" fill="${TONES[tone]}" fill-opacity="0.8"><title>${escapeHtml(text)}</title></rect>`;
      });
    return label + drawn.join('');
  });
  const legend = `<text x="${WIDTH - RIGHT}" y="18" text-anchor="end" fill="#59636e">above: <tspan fill="${TONES.fault}">faults</tspan>; below: incidents, <tspan fill="${TONES.healed}">ended</tspan> or <tspan fill="${TONES.open}">open</tspan></text>`;
  return frame(title, bottom + BOTTOM, axis(untilS, x, TOP, bottom, ' s') + rows.join('') + legend);
}
