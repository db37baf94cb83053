/** A value as Grafana writes it, for the units that the dashboards use. */
export function formatValue(value: number, unit: string, decimals?: number): string {
  if (!Number.isFinite(value)) return String(value);
  switch (unit) {
    case 'percentunit':
      return `${fixed(value * 100, decimals)}%`;
    case 's':
      return seconds(value, decimals);
    case 'bytes':
      return scaled(value, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB'], decimals);
    case 'binBps':
      return scaled(value, 1024, ['B/s', 'KiB/s', 'MiB/s', 'GiB/s', 'TiB/s'], decimals);
    case 'si:FLOP':
      return scaled(value, 1000, ['FLOP', 'kFLOP', 'MFLOP', 'GFLOP', 'TFLOP', 'PFLOP', 'EFLOP'], decimals);
    case 'short':
      return scaled(value, 1000, ['', 'K', 'Mil', 'Bil', 'Tri'], decimals);
    case 'ops':
      return `${scaled(value, 1000, ['', 'K'], decimals)} ops/s`;
    case 'reqps':
      return `${scaled(value, 1000, ['', 'K'], decimals)} req/s`;
    case 'none':
      return fixed(value, decimals);
    default:
      throw new Error(`the pictures have no unit ${unit}`);
  }
}

/** Three significant digits, unless the panel sets the number of decimals. */
function fixed(value: number, decimals?: number): string {
  if (decimals !== undefined) return value.toFixed(decimals);
  if (Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(3)));
}

function scaled(value: number, base: number, units: readonly string[], decimals?: number): string {
  const power =
    value === 0 ? 0 : Math.min(units.length - 1, Math.max(0, Math.floor(Math.log(Math.abs(value)) / Math.log(base))));
  return `${fixed(value / base ** power, decimals)} ${units[power]}`.trim();
}

function seconds(value: number, decimals?: number): string {
  const size = Math.abs(value);
  if (size === 0) return '0 s';
  if (size < 1e-3) return `${fixed(value * 1e6, decimals)} µs`;
  if (size < 1) return `${fixed(value * 1e3, decimals)} ms`;
  if (size < 60) return `${fixed(value, decimals)} s`;
  if (size < 3600) return `${fixed(value / 60, decimals ?? 1)} min`;
  return `${fixed(value / 3600, decimals ?? 1)} h`;
}
