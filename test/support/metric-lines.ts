import type { Registry } from 'prom-client';

/** The samples of one metric in Prometheus's text format. */
export const linesOf = async (registry: Registry, name: string) =>
  (await registry.metrics()).split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
