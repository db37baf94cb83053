import pino from 'pino';
import type { Logger } from 'pino';

/** Shorter ones cannot be told from ordinary words, whose letters would be torn out of every line. */
const SHORTEST_SECRET = 6;

/** What replaces secrets in a text, should an error's words ever hold one. */
export function hiding(secrets: readonly string[]): (text: string) => string {
  // The longest first: a URL holds its password.
  const known = secrets.filter(({ length }) => length >= SHORTEST_SECRET).sort((a, b) => b.length - a.length);
  return (text) => known.reduce((rest, secret) => rest.replaceAll(secret, '[hidden]'), text);
}

/** JSON lines on stdout: level as a word, time in ISO 8601, and `fields` in every line. */
export function podLog(level: string, fields: Readonly<Record<string, string>>, secrets: readonly string[]): Logger {
  return pino({
    level,
    base: { ...fields },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    hooks: { streamWrite: hiding(secrets) },
  });
}
