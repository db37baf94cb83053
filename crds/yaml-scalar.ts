/**
 * How kubectl reads a plain scalar: as YAML 1.1, like Go's yaml.v2. `fedbiot` reads YAML 1.2. A manifest must have one
 * meaning, so scalars that the two read differently are refused.
 */

/** Words in lower case, capitalised and in upper case. */
const WORDS: ReadonlyMap<string, boolean | null> = new Map(
  (
    [
      ['y', true],
      ['yes', true],
      ['on', true],
      ['true', true],
      ['n', false],
      ['no', false],
      ['off', false],
      ['false', false],
      ['null', null],
    ] as const
  ).flatMap(([word, value]) =>
    [word, `${word.charAt(0).toUpperCase()}${word.slice(1)}`, word.toUpperCase()].map(
      (spelled) => [spelled, value] as const,
    ),
  ),
);

const INTEGER =
  /^(?<sign>[-+]?)(?:0[xX](?<hex>[0-9a-fA-F]+)|0[bB](?<binary>[01]+)|0[oO]?(?<octal>[0-7]+)|(?<decimal>0|[1-9][0-9]*))$/;
/** A number that starts with a point has underscores only between digits; other numbers have them anywhere. */
const FRACTION = /^\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?$/;
const FLOAT = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;

const INT64 = { least: -(2n ** 63n), most: 2n ** 63n - 1n };
const UINT64_MOST = 2n ** 64n - 1n;

/** The value of a plain scalar to kubectl. It refuses infinity and NaN, which JSON lacks; here they are numbers. */
export function kubectlReads(text: string): string | bigint | number | boolean | null {
  if (text === '' || text === '~') return null;
  const word = WORDS.get(text);
  if (word !== undefined) return word;
  if (/^[-+]?\.(inf|Inf|INF)$/.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  if (/^\.(nan|NaN|NAN)$/.test(text)) return Number.NaN;
  const plain = text.replaceAll('_', '');
  // Numbers begin with a digit, a sign or a point.
  if (!/^[-+.0-9]/.test(text)) return text;
  const whole = integer(plain);
  if (whole !== null) return whole;
  const isFloat = text.startsWith('.') ? FRACTION.test(text) : FLOAT.test(plain);
  return isFloat && Number.isFinite(Number(plain)) ? Number(plain) : text;
}

/** A 64-bit integer; one that fits only unsigned becomes a double. */
function integer(text: string): bigint | number | null {
  const { sign = '', hex, binary, octal, decimal } = INTEGER.exec(text)?.groups ?? {};
  const digits =
    hex !== undefined
      ? `0x${hex}`
      : binary !== undefined
        ? `0b${binary}`
        : octal !== undefined
          ? `0o${octal}`
          : decimal;
  if (digits === undefined) return null;
  const value = sign === '-' ? -BigInt(digits) : BigInt(digits);
  if (value >= INT64.least && value <= INT64.most) return value;
  return sign === '' && value <= UINT64_MOST ? Number(value) : null;
}

/** Why a plain scalar that fedbiot reads as `value` is refused; null if it is not. */
export function plainProblem(text: string, value: unknown): string | null {
  const there = kubectlReads(text);
  if (typeof value === 'number' && !Number.isFinite(value)) return `${text} is not a finite number`;
  if (typeof there === 'bigint' ? typeof value === 'number' && BigInt(value) === there : there === value) return null;
  if (typeof there === 'bigint' && typeof value === 'number' && BigInt(Number(there)) !== there) {
    return `${text} has more digits than a number can hold and would become ${value}; quote it if text is meant`;
  }
  const written = [there, value].filter((each) => typeof each !== 'string').map(String);
  return `${text} is ${meaning(there)} to kubectl, which reads YAML 1.1, and ${meaning(value)} here, in YAML 1.2: write ${[...new Set(written)].join(' or ')}, or "${text}" if text is meant`;
}

/** Why a plain scalar is refused as a field name; null if it is not. */
export const plainNameProblem = (text: string, value: unknown): string | null =>
  typeof value === 'string' && typeof kubectlReads(text) === 'string'
    ? null
    : `the field name ${text} is not text, at least not to kubectl: quote it`;

const meaning = (value: unknown): string => (typeof value === 'string' ? 'text' : String(value));
