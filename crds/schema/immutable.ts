import Type from 'typebox';
import type { TProperties } from 'typebox';
import type { Rule } from '../json-schema/fields.ts';

/** Rules by which every field but the `mutable` ones stays as created: its value, or its absence. */
export function immutable(properties: TProperties, mutable: readonly string[]): Rule[] {
  return Object.entries(properties)
    .filter(([name]) => !mutable.includes(name))
    .map(([name, field]) => ({
      rule: Type.IsOptional(field)
        ? `has(self.${name}) == has(oldSelf.${name}) && (!has(self.${name}) || self.${name} == oldSelf.${name})`
        : `self.${name} == oldSelf.${name}`,
      message: `${name} cannot be changed after the job is created`,
      fieldPath: `.${name}`,
    }));
}
