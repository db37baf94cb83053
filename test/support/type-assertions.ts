/** Assertions about types: a file that uses them compiles only if they hold. */

/** The type `true`; anything else does not compile. */
export type Expect<T extends true> = T;

/** Whether two types are identical: `any`, `readonly` and `?` make a difference. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** The type `never`; for anything else, the compiler's message shows the type. */
export type Nothing<T extends never> = T;

/** Names of the optional fields. */
export type OptionalKeys<T> = { [K in keyof T]-?: object extends Pick<T, K> ? K : never }[keyof T];

/** Platform types, some of which contain `any`. */
type Platform = Uint8Array | AbortSignal;

/** The paths within a type at which it is `any`, through fields, items, parameters and results. */
export type AnyPaths<T, Path extends string = ''> = 0 extends 1 & T
  ? `${Path}: any`
  : T extends Platform
    ? never
    : T extends (...parameters: infer Parameters) => infer Result
      ? AnyPaths<Parameters, `${Path}(…)`> | AnyPaths<Result, `${Path}()`>
      : T extends Promise<infer Value>
        ? AnyPaths<Value, `await ${Path}`>
        : T extends readonly unknown[]
          ? { [I in keyof T]: AnyPaths<T[I], `${Path}[]`> }[number]
          : T extends object
            ? { [K in keyof T & string]-?: AnyPaths<T[K], `${Path}.${K}`> }[keyof T & string]
            : never;
