import type { Registry } from 'prom-client';

/** The samples of one metric, as Prometheus scrapes them. */
export const linesOf = async (registry: Registry, name: string) =>
  (await registry.metrics()).split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
