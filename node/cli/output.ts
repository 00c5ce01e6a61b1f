// Output for people: tables, colours and sizes. Times are in times.ts.

export const FORMATS = ['table', 'wide', 'json', 'yaml', 'csv'] as const;
export type Format = (typeof FORMATS)[number];

const useColour = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

export function paint(colour: keyof typeof CODES, text: string): string {
  return useColour ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;
}

/**
 * Characters that a terminal would obey: control characters except tabs and line feeds; and characters that change the direction of
 * text or break lines, which can make one name look like another.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: this expression finds control characters
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Text from machines, for a terminal. */
export function printable(text: string): string {
  return text.replace(OBEYED, '�');
}

/** The same within JSON, as escapes, so that programs read the original text. */
export function printableJson(text: string): string {
  return text.replace(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The maximum width of text; undefined: no limit. */
let widthOf = (): number | undefined => (process.stdout.isTTY === true ? process.stdout.columns : undefined);

/** For `-o wide`: nothing is shortened. */
export function showFull(): void {
  widthOf = () => undefined;
}

// East Asian wide and full-width characters, and emoji (UAX #11), take two columns; marks and joiners take none.
const WIDE =
  /\p{Emoji_Presentation}|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Script=Bopomofo}|\p{Script=Yi}|[\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]|\ufe0f/u;
const HALF = /[\uff61-\uffdc]/;
const NO_ROOM = /^[\p{M}\p{Cf}]+$/u;
const PLAIN = /^[\x20-\x7e]*$/;
let segmenter: Intl.Segmenter | undefined;

/** Created when it is needed: creating it takes 20 ms of CPU, a seventh of a command that prints plain text. */
function graphemesOf(text: string): Iterable<{ segment: string }> {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' });
  return segmenter.segment(text);
}

const columnsOf = (grapheme: string): number =>
  NO_ROOM.test(grapheme) ? 0 : WIDE.test(grapheme) && !HALF.test(grapheme) ? 2 : 1;

/** Columns of a terminal that a text takes. */
export function widthOfText(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemesOf(text)) width += columnsOf(segment);
  return width;
}

/** Cuts a text to a width, with an ellipsis if something was cut. */
export function shortened(text: string, width: number): string {
  if (widthOfText(text) <= width) return text;
  let kept = '';
  let room = width - 1;
  for (const { segment } of graphemesOf(text)) {
    room -= columnsOf(segment);
    if (room < 0) break;
    kept += segment;
  }
  return width < 1 ? '' : `${kept}…`;
}

const GAP = '  ';
/** Minimum column widths, tried in this order: the first ones are still readable, the last only shows that there is a value. */
const FLOORS = [16, 10, 6] as const;

/**
 * Column widths that fit. Text columns are shortened from the last to the first, in steps; then the last columns are left out.
 * @returns 0 for a column that is left out; the first column always stays
 */
function fitted(widths: readonly number[], isText: readonly boolean[], width: number): number[] {
  const fit = [...widths];
  const excess = (): number => {
    const shown = fit.filter((one) => one > 0);
    const marker = shown.length < fit.length ? GAP.length + 1 : 0;
    return shown.reduce((sum, one) => sum + one, 0) + GAP.length * (shown.length - 1) + marker - width;
  };
  for (const floor of FLOORS)
    for (let i = fit.length - 1; i >= 0 && excess() > 0; i--)
      if (isText[i] === true) fit[i] = Math.min(fit[i] ?? 0, Math.max(floor, (fit[i] ?? 0) - excess()));
  for (let i = fit.length - 1; i > 0 && excess() > 0; i--) fit[i] = 0;
  // Use the room of columns that were left out.
  for (let i = 0; i < fit.length && excess() < 0; i++)
    if ((fit[i] ?? 0) > 0) fit[i] = Math.min(widths[i] ?? 0, (fit[i] ?? 0) - excess());
  return fit;
}

/** Pads columns to their widest cell, numbers to the right; not wider than the terminal. @param width undefined: no limit */
export function table(headers: readonly string[], rows: readonly (readonly unknown[])[], width = widthOf()): string {
  const cells = rows.map((row) => headers.map((_, i) => cell(row[i])));
  const names = headers.map((header) => header.toUpperCase());
  const numeric = headers.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number' || row[i] === null));
  const natural = names.map((name, i) => Math.max(widthOfText(name), ...cells.map((row) => widthOfText(row[i] ?? ''))));
  const widths =
    width === undefined
      ? natural
      : fitted(
          natural,
          numeric.map((is) => !is),
          width,
        );
  const isCut = widths.includes(0);
  const line = (row: readonly string[]): string => {
    const shown = row.flatMap((text, i) => {
      const room = widths[i] ?? 0;
      if (room === 0) return [];
      const short = shortened(text, room);
      const pad = ' '.repeat(Math.max(0, room - widthOfText(short)));
      return [numeric[i] ? pad + short : short + pad];
    });
    const whole = [...shown, ...(isCut ? ['…'] : [])].join(GAP).trimEnd();
    return width === undefined ? whole : shortened(whole, width);
  };
  return [paint('bold', line(names)), ...cells.map(line)].join('\n');
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
  return printable(String(value)).replaceAll(/[\n\t]/g, ' ');
}

export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let scaled = value;
  let unit = 0;
  for (; scaled >= 1024 && unit < units.length - 1; unit++) scaled /= 1024;
  return `${scaled >= 100 || unit === 0 ? Math.round(scaled) : scaled.toFixed(1)} ${units[unit]}`;
}

const BARS = '▁▂▃▄▅▆▇█';

/** @param most the value of a full bar; by default the highest value. */
export function sparkline(values: readonly number[], width = values.length, most?: number): string {
  const shown = values.slice(-width);
  const top = most ?? Math.max(...shown, Number.EPSILON);
  const bar = (value: number): string =>
    BARS[Math.min(BARS.length - 1, Math.max(0, Math.floor((value / top) * BARS.length)))] ?? ' ';
  return shown.map(bar).join('').padStart(width);
}
