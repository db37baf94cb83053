import { InvalidArgumentError, Option } from 'commander';
import type { Provider } from '../engine/compute-protocol.ts';
import { isDay } from '../../crds/day.ts';

const PROVIDERS: readonly [Provider, ...Provider[]] = ['cpu', 'cuda'];

/** The option `--provider`. */
export function providerOption(description = 'device to compute on'): Option {
  return new Option('--provider <name>', description).choices(PROVIDERS).default(PROVIDERS[0]);
}

/**
 * Parses a path or an address. An empty one usually comes from an unset shell variable, and would mean the working
 * directory or all addresses.
 */
export function notEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty.');
  return text;
}

/** Parses an option's value as a whole number of at least 1. */
export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return value;
}

/** Parses an option's value as a TCP port; 0 means any free port. */
export function portNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 65_535) throw new InvalidArgumentError('It must be a port, from 0 to 65535.');
  return value;
}

/** Parses an option's value as a date. */
export function day(text: string): string {
  if (!isDay(text)) throw new InvalidArgumentError('It must be a date such as 2026-11-30.');
  return text;
}
