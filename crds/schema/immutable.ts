import Type from 'typebox';
import type { TProperties } from 'typebox';
import type { Rule } from '../json-schema/fields.ts';

/**
 * For every field but the `mutable` ones, that it stays as it was when the object was made: given or left out, and its
 * value.
 */
export function immutable(properties: TProperties, mutable: readonly string[]): Rule[] {
  return Object.entries(properties)
    .filter(([name]) => !mutable.includes(name))
    .map(([name, field]) => ({
      rule: Type.IsOptional(field)
        ? `has(self.${name}) == has(oldSelf.${name}) && (!has(self.${name}) || self.${name} == oldSelf.${name})`
        : `self.${name} == oldSelf.${name}`,
      message: `${name} cannot be changed once the job is made`,
      fieldPath: `.${name}`,
    }));
}
