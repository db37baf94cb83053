/** A JSON object whose fields are not checked yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a setting has no effect: null, false, or an empty text, list or object. */
export function isNothing(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** A value for an error message: as JSON, truncated if it is long. */
export function shown(value: unknown): string {
  try {
    const json = JSON.stringify(value) ?? String(value);
    return json.length > 120 ? `${json.slice(0, 120)}…` : json;
  } catch {
    return 'a value nested too deeply to be shown';
  }
}
