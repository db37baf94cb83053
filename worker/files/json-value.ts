/** A JSON object whose members are yet to be checked. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a setting says nothing: null, false, or an empty text, list or object. */
export function isNothing(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** A value as an error shows it: as JSON, cut where it is long. */
export function shown(value: unknown): string {
  try {
    const json = JSON.stringify(value) ?? String(value);
    return json.length > 120 ? `${json.slice(0, 120)}…` : json;
  } catch {
    return 'a value nested too deep to be shown';
  }
}
