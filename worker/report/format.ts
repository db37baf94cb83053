const MISSING = '–';
const integers = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const flopUnits = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'] as const;
const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** 12345 → "12,345". */
export function formatCount(value: number): string {
  return integers.format(value);
}

/** Bytes in binary units: 1536 → "1.50 KiB". */
export function formatBytes(bytes: number): string {
  return inUnits(bytes, 1024, byteUnits);
}

/** Floating-point operations in decimal units: 1.5e12 → "1.50 TFLOP". */
export function formatFlops(flops: number): string {
  return `${inUnits(flops, 1000, flopUnits)}FLOP`;
}

function inUnits(amount: number, step: number, units: readonly string[]): string {
  let value = amount;
  let unit = 0;
  while (Math.abs(value) >= step && unit < units.length - 1) {
    value /= step;
    unit++;
  }
  return `${unit === 0 ? value.toFixed(0) : threeDigits(value)} ${units[unit]}`;
}

/** A rate or a count that may be below one: three significant digits, thousands grouped. */
export function formatRate(value: number): string {
  return Math.abs(value) >= 100 ? formatCount(value) : threeDigits(value);
}

/** A fraction in [0, 1] as a percentage with one digit: 0.5 → "50.0 %"; null → "–". */
export function formatPercent(fraction: number | null): string {
  return fraction === null ? MISSING : `${(100 * fraction).toFixed(1)} %`;
}

/** A loss with four significant digits, small ones in scientific notation; null → "–". */
export function formatLoss(loss: number | null): string {
  if (loss === null) return MISSING;
  if (!Number.isFinite(loss)) return String(loss);
  const magnitude = Math.abs(loss);
  if (magnitude !== 0 && magnitude < 1e-3) return loss.toExponential(2);
  return loss.toFixed(magnitude < 1 ? 4 : magnitude < 100 ? 3 : 1);
}

/** Seconds for a reader: "0.42 s", "12.3 s", "4:05", "2:03:04"; null → "–". */
export function formatDuration(seconds: number | null): string {
  if (seconds === null) return MISSING;
  if (seconds < 59.95) return `${threeDigits(seconds)} s`;
  return formatClock(seconds);
}

/**
 * Seconds as a clock: "0:05", "4:05", "2:03:04", "3 d 02:03:04"; null → "–". Its width hardly changes from second to
 * second.
 */
export function formatClock(seconds: number | null): string {
  if (seconds === null) return MISSING;
  const whole = Math.max(0, Math.round(seconds));
  const days = Math.floor(whole / 86_400);
  const hours = Math.floor(whole / 3600) % 24;
  const minutes = Math.floor(whole / 60) % 60;
  const two = (n: number) => String(n).padStart(2, '0');
  if (days > 0) return `${days} d ${two(hours)}:${two(minutes)}:${two(whole % 60)}`;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** Runs of consecutive numbers: [0, 1, 2, 5, 7, 8] → "0–2, 5, 7, 8". */
export function formatIndices(indices: readonly number[]): string {
  const runs: number[][] = [];
  for (const index of indices) {
    const run = runs.at(-1);
    if (run !== undefined && run.at(-1) === index - 1) run.push(index);
    else runs.push([index]);
  }
  return runs.map((run) => (run.length > 2 ? `${run[0]}–${run.at(-1)}` : run.join(', '))).join(', ') || 'none';
}

function threeDigits(value: number): string {
  const magnitude = Math.abs(value);
  return value.toFixed(magnitude < 9.995 ? 2 : magnitude < 99.95 ? 1 : 0);
}
