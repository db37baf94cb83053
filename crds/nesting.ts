import type { Path } from './json-schema/node.ts';

/**
 * Maximum nesting depth of an object. The deepest objects of Kubernetes have about twenty levels, and recursive code is
 * safe with this many.
 */
export const MAX_DEPTH = 64;

/** A value that contains others, and the path to it. */
interface Place {
  readonly value: object;
  readonly depth: number;
  readonly step: string | number;
  readonly around: Place | null;
}

/**
 * The path at which a value is nested more than `most` levels deep; null: nowhere. It does not recurse, so that it can
 * inspect any depth.
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

/** Steps shown of a path, which is too long to be read whole. */
const SHOWN_STEPS = 6;

export const tooDeepMessage = () => `is nested more than ${MAX_DEPTH} levels deep`;

/** The problem of a value that is nested too deep, at the field that contains it. */
export const tooDeepProblem = (path: Path) => ({ path: path.slice(0, SHOWN_STEPS), message: tooDeepMessage() });
