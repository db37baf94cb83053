/**
 * Draws the picture in the README from a finished run, in the colours of the report's light theme:
 *
 *   npm run quickstart && npx node bench/readme-figure.ts runs/quickstart > docs/images/quickstart.svg
 */
import { accuracyFigure } from '../worker/report/loss-figures.ts';
import { figureSize } from '../worker/report/chart.ts';
import { readReportJson } from '../worker/report/report-files.ts';
import { style } from '../worker/report/style.ts';

const [run] = process.argv.slice(2);
if (run === undefined) throw new Error('usage: npx node bench/readme-figure.ts RUN > docs/images/quickstart.svg');
const figure = accuracyFigure((await readReportJson(run)).rounds);
if (figure === null) throw new Error(`${run} has no accuracy to show`);

// The picture has no style sheet, so that the values of colours and font are inserted.
const light = new Map(
  [...style.slice(0, style.indexOf('}')).matchAll(/(--[\w-]+): (#\w+)/g)].map(([, name, value]) => [name, value]),
);
const { width, height } = figureSize;
const svg = figure.svg.source
  .replaceAll(/var\((--[\w-]+)\)/g, (_, name: string) => light.get(name) ?? 'currentColor')
  .replaceAll(/font-family:\s*inherit/g, 'font-family:sans-serif')
  .replace('<svg ', `<svg width="${width}" height="${height}" `)
  .replace('>', `><rect width="${width}" height="${height}" fill="${light.get('--paper')}"/>`);
process.stdout.write(`${svg}\n`);
