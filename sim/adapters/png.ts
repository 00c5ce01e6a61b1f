// Plots as PNG, if the library for it is installed (it is optional: prebuilt, for common platforms).
import { createRequire } from 'node:module';
import { KalosError } from '../../node/errors.ts';

const SCALE = 2;

/** @throws KalosError if @resvg/resvg-js is not installed. */
export function pngOf(svg: string): Uint8Array {
  let Resvg: typeof import('@resvg/resvg-js').Resvg;
  try {
    ({ Resvg } = createRequire(import.meta.url)('@resvg/resvg-js'));
  } catch {
    throw new KalosError(
      'io',
      'no PNG was written: @resvg/resvg-js is not installed',
      'npm install @resvg/resvg-js; the HTML report is complete',
    );
  }
  return new Resvg(svg, { fitTo: { mode: 'zoom', value: SCALE }, background: 'white' }).render().asPng();
}
