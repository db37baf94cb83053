import type { PRESET, RULES, Rule } from './fields.ts';

/** A schema node for code that walks the schema: the keywords that fields.ts writes. */
export interface SchemaNode {
  /** A list of types only for Kubernetes' int-or-string. */
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  /** The schema of a map's values; false for any other object, which has no further fields. */
  readonly additionalProperties?: boolean | SchemaNode;
  readonly items?: SchemaNode;
  readonly required?: readonly string[] | undefined;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly uniqueItems?: boolean;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly pattern?: string;
  readonly format?: string;
  /** TypeBox's mark of a node whose static type is given explicitly (the pair of betas). */
  readonly '~unsafe'?: unknown;
  readonly [RULES]?: readonly Rule[];
  readonly [PRESET]?: string;
}

/** The node of a field of an object or of a map's value; undefined if the schema does not have it. */
export function fieldOf({ properties = {}, additionalProperties }: SchemaNode, name: string): SchemaNode | undefined {
  if (Object.hasOwn(properties, name)) return properties[name];
  return typeof additionalProperties === 'object' ? additionalProperties : undefined;
}

/** Steps from the root: field names, and indices of list items. */
export type Path = readonly (string | number)[];

/** What is wrong with the value at `path`. */
export interface Problem {
  readonly path: Path;
  readonly message: string;
}

/** `spec.federation.local.optimizer.betas[0]` */
export function pathText(path: Path): string {
  return path.map((step, i) => (typeof step === 'number' ? `[${step}]` : i === 0 ? step : `.${step}`)).join('');
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
