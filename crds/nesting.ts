import type { Path } from './json-schema/node.ts';

/**
 * Objects and lists in one another that an object may have. The deepest of Kubernetes' own have some twenty, and
 * whatever walks an object by recursion is safe with so many.
 */
export const MAX_DEPTH = 64;

/** A value that has others in it, and how it is reached. */
interface Place {
  readonly value: object;
  readonly depth: number;
  readonly step: string | number;
  readonly around: Place | null;
}

/**
 * Where a value is nested more than `most` levels deep; null: nowhere. Looks without recursion, so that any depth can
 * be looked at.
 */
export function tooDeep(value: unknown, most = MAX_DEPTH): Path | null {
  const places: Place[] = [];
  const enter = (each: unknown, step: string | number, around: Place | null) => {
    if (typeof each === 'object' && each !== null)
      places.push({ value: each, depth: (around?.depth ?? 0) + 1, step, around });
  };
  enter(value, '', null);
  for (let place = places.pop(); place !== undefined; place = places.pop()) {
    const around = place;
    if (around.depth > most) return pathTo(around);
    if (Array.isArray(around.value)) around.value.forEach((item, index) => enter(item, index, around));
    else for (const [name, field] of Object.entries(around.value)) enter(field, name, around);
  }
  return null;
}

function pathTo(place: Place): Path {
  const path: (string | number)[] = [];
  for (let each = place; each.around !== null; each = each.around) path.push(each.step);
  return path.reverse();
}

/** Steps of a path that nobody wants to read whole. */
const SHOWN_STEPS = 6;

export const tooDeepMessage = () => `is nested more than ${MAX_DEPTH} levels deep`;

/** What is wrong with a value that is nested too deep, for the field around the depth. */
export const tooDeepProblem = (path: Path) => ({ path: path.slice(0, SHOWN_STEPS), message: tooDeepMessage() });
