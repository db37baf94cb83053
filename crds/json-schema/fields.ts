import Type from 'typebox';
import type { Static, TObject, TProperties, TSchema } from 'typebox';

/**
 * Builders for the kinds of field that the API has. They produce only what a Kubernetes structural schema can express,
 * and require a description.
 */

/**
 * A rule over several fields, evaluated by the API server and by `fedbiot`. A rule that compares with the stored value
 * `oldSelf` is evaluated only by the API server, on updates.
 */
export interface Rule {
  /** A CEL expression over `self`, the node's value with its defaults; must be true. */
  readonly rule: string;
  /** What is wrong; names the fields. */
  readonly message: string;
  /** Path from the node to the field that is reported: `.clientsPerRound`. */
  readonly fieldPath?: string;
}

interface Common {
  readonly rules?: readonly Rule[];
  /** For an optional field that crds/presets.ts fills: what its default depends on, for the reference. */
  readonly preset?: string;
}

/**
 * Keyword, not part of the CRD, for the reference: where a field without a default in the schema gets its value from.
 */
export const PRESET = 'x-fedbiot-preset';
/** Kubernetes' name for CEL rules. */
export const RULES = 'x-kubernetes-validations';

const common = (description: string, { rules, preset, ...rest }: Common) => ({
  ...rest,
  description,
  ...(preset === undefined ? {} : { [PRESET]: preset }),
  ...(rules === undefined ? {} : { [RULES]: rules }),
});

interface Bounds<T> extends Common {
  readonly default?: T;
  readonly minimum?: number;
  readonly maximum?: number;
}

export const integer = (description: string, options: Bounds<number> = {}) =>
  Type.Integer({ format: 'int64', ...common(description, options) });

/** A count. */
export const count = (description: string) => integer(description, { minimum: 0, maximum: 1_000_000_000 });

/** Bytes or tokens, of which there may be many. */
export const amount = (description: string) => integer(description, { minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

export const number = (
  description: string,
  options: Bounds<number> & { readonly exclusiveMinimum?: number; readonly exclusiveMaximum?: number } = {},
) => Type.Number(common(description, options));

/** A fraction in [0, 1). */
export const rate = (description: string, options: Bounds<number> = {}) =>
  number(description, { ...options, minimum: 0, exclusiveMaximum: 1 });

export const boolean = (description: string, options: Common & { readonly default?: boolean } = {}) =>
  Type.Boolean(common(description, options));

interface StringOptions extends Common {
  readonly default?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: string;
}

/** Bounded, so that the API server can estimate the cost of its rules. */
export const string = (description: string, options: StringOptions = {}) =>
  Type.String({ maxLength: 1024, ...common(description, options) });

/** A file URL that names a file: Node refuses %2F and invalid percent-encoding. */
export const FILE_URL: Rule = {
  rule: "!self.startsWith('file:///') || !self.matches('%(2[fF]|$|[^0-9a-fA-F]|[0-9a-fA-F]($|[^0-9a-fA-F]))')",
  message: 'a file:///… URL has two hexadecimal digits after each %, and no %2F',
};

/** An enumeration. */
export const choice = <const Values extends string[]>(
  description: string,
  values: readonly [...Values],
  options: Common & { readonly default?: Values[number] } = {},
) => Type.Enum<Values>(values, { type: 'string', ...common(description, options) });

interface ListOptions<Item> extends Common {
  readonly default?: readonly Item[];
  readonly minItems?: number;
  readonly maxItems: number;
  readonly uniqueItems?: boolean;
  /** Fields that identify an item, for lists that several writers share. */
  readonly mapKeys?: readonly string[];
}

export const list = <Item extends TSchema>(
  description: string,
  items: Item,
  { mapKeys, ...options }: ListOptions<Static<Item>>,
) =>
  Type.Array(items, {
    ...common(description, options),
    ...(mapKeys === undefined ? {} : { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': mapKeys }),
  });

interface MapOptions extends Common {
  readonly maxProperties: number;
}

/** An object whose field names are chosen by the user. */
export const map = <Value extends TSchema>(description: string, values: Value, options: MapOptions) =>
  Type.Unsafe<Record<string, Static<Value>>>({
    type: 'object',
    additionalProperties: values,
    ...common(description, options),
  });

/** Kubernetes' keyword for an object whose fields are checked by another API, such as the Pod API. */
const PRESERVE = 'x-kubernetes-preserve-unknown-fields';

/** A value that may be unknown. */
export const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** The same object schema with another description. */
export const describedAs = <Properties extends TProperties>({ properties }: TObject<Properties>, description: string) =>
  Type.Object(properties, { description });

/** An object of another API. */
export const foreign = (description: string) =>
  Type.Unsafe<Record<string, unknown>>({ type: 'object', [PRESERVE]: true, ...common(description, {}) });

/** An object of another API, identified by its name. */
export const foreignNamed = (description: string, name: TSchema) =>
  Type.Unsafe<{ name: string } & Record<string, unknown>>({
    type: 'object',
    required: ['name'],
    properties: { name },
    [PRESERVE]: true,
    ...common(description, {}),
  });

/**
 * An object without further fields. If none of its fields is required, its default holds all of their defaults, because
 * the API server evaluates the rules on the default too.
 */
export function object<Properties extends TProperties>(
  description: string,
  properties: Properties,
  options: Common & { readonly default?: object } = {},
) {
  const defaults = Object.entries(properties).flatMap(([name, field]) =>
    'default' in field ? [[name, field.default]] : [],
  );
  const complete = Object.values(properties).every((field) => 'default' in field || Type.IsOptional(field));
  return Type.Object(properties, {
    additionalProperties: false,
    ...(complete && defaults.length > 0 ? { default: Object.fromEntries(defaults) } : {}),
    ...common(description, options),
  });
}
