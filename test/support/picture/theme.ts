/** A rectangle in the picture, in the picture's units. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Approximates Grafana's light theme. */
export const theme = { page: '#f4f5f5', panel: '#ffffff', rule: '#dfe1e5', text: '#24292e', muted: '#6b7480' } as const;

/** Colours that the dashboards use by name. */
const NAMED: Readonly<Record<string, string>> = {
  text: theme.text,
  gray: '#8e9199',
  red: '#d0303c',
  orange: '#e0691a',
  yellow: '#d49b00',
  green: '#37872d',
  blue: '#1f60c4',
  purple: '#8f3bb8',
};

/** Colours for series without a colour in the dashboard. */
const PALETTE = [
  '#37872d',
  '#d49b00',
  '#1f60c4',
  '#e0691a',
  '#d0303c',
  '#8f3bb8',
  '#3aa2b5',
  '#7a6a53',
  '#b5497e',
] as const;

export function colorNamed(name: string): string {
  const color = NAMED[name];
  if (color === undefined) throw new Error(`the pictures have no colour ${name}`);
  return color;
}

export const colorAt = (index: number): string => PALETTE[index % PALETTE.length] ?? theme.text;
