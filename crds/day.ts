/** A day as 2026-11-30, in UTC. */
export const dayOf = (at: Date): string => at.toISOString().slice(0, 10);

/** Whether a text is a day of the calendar, as 2026-11-30. */
export function isDay(text: string): boolean {
  const at = new Date(`${text}T00:00:00Z`);
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(at.getTime()) && dayOf(at) === text;
}
