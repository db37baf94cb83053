import type { Command } from 'commander';
import { UserError } from '../../crds/facts/user-error.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Options without a variable: they print text and start nothing. */
const WITHOUT_VARIABLE = new Set(['--help', '--version']);

/** `--lease-namespace` is FEDBIOT_LEASE_NAMESPACE. */
const variableOf = (long: string): string => `FEDBIOT_${long.slice(2).toUpperCase().replaceAll('-', '_')}`;

/**
 * The environment as arguments. They are put before those of the command line, which override them. Commander's
 * Option.env() is not used: it enables a switch for any value, even "false", and takes an empty variable as a value.
 */
export function withEnvironment(command: Command, environment: Environment): string[] {
  return command.options.flatMap(({ long, negate, required }) => {
    if (long === undefined || long === null || WITHOUT_VARIABLE.has(long)) return [];
    const variable = variableOf(long);
    const value = environment[variable];
    if (value === undefined || value === '') return [];
    const isSwitch = negate || !required;
    if (!isSwitch) return [`${long}=${value}`];
    if (value === 'true') return [long];
    if (value === 'false') return [];
    throw new UserError(`the variable ${variable} is ${JSON.stringify(value)}`, { hint: 'Set it to true or false.' });
  });
}
