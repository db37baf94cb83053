declare global {
  interface JSON {
    /** As in ECMAScript's proposal “JSON.parse source text access”, which Node implements. */
    parse(
      text: string,
      reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
    ): unknown;
    rawJSON(text: string): unknown;
  }
}

/** A number in a JSON text that Python writes differently from JavaScript: 1.0, 1e-7, an integer beyond 2^53. */
export class WrittenNumber extends Number {
  readonly #text: string;

  /** @param text as Python writes it */
  constructor(value: number, text: string) {
    super(value);
    this.#text = text;
  }

  override toString(): string {
    return this.#text;
  }

  override toFixed(): string {
    return this.#text;
  }

  toJSON(): unknown {
    return JSON.rawJSON(this.#text);
  }
}

/** Finds texts that may contain such a number. Digits within a string also match, which only costs time. */
const CANDIDATE = /[[:,]\s*-?\d+(?:[.eE]|\d{15})/;

export const mayHoldWrittenNumbers = (json: string): boolean => CANDIDATE.test(json);

/**
 * Parses JSON. Numbers that Python writes differently from JavaScript become WrittenNumber.
 * @throws SyntaxError
 */
export function parseWrittenNumbers(json: string): unknown {
  return JSON.parse(json, (_key, value, { source }) => {
    if (typeof value !== 'number' || source === undefined) return value;
    const text = pythonText(value, source);
    return text === JSON.stringify(value) ? value : new WrittenNumber(value, text);
  });
}

/** A number as Python's json writes it after reading it. */
function pythonText(value: number, source: string): string {
  if (/^-?\d+$/.test(source)) return String(BigInt(source));
  if (!Number.isFinite(value)) return value < 0 ? '-Infinity' : 'Infinity';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [digits = '', power = ''] = value.toExponential().split('e');
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16)
    return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  const text = value.toString();
  return text.includes('.') ? text : `${text}.0`;
}
