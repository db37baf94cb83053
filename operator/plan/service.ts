import { PORT } from '../../worker/cluster/pod.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { PlannedObject } from '../objects/planned.ts';
import { selectorOf } from '../objects/labels.ts';
import { namesOf } from '../objects/owned-objects.ts';
import { headerOf } from './owned.ts';

/** Gives the server pod a DNS name. The Service is headless, as one pod needs no load balancing. */
export function service(job: JobObject): PlannedObject {
  return {
    ...headerOf(job, 'service'),
    spec: {
      clusterIP: 'None',
      selector: selectorOf(job.metadata.name, 'server'),
      ports: [
        { name: 'bundle', port: PORT.bundle, targetPort: 'bundle', protocol: 'TCP' },
        { name: 'metrics', port: PORT.metrics, targetPort: 'metrics', protocol: 'TCP' },
      ],
    },
  };
}

/** URL from which clients fetch the emulator bundle. */
export const serverUrl = (job: JobObject): string =>
  `http://${namesOf(job.metadata.name).service}.${job.metadata.namespace}.svc:${PORT.bundle}`;

/**
 * The namespace in a Service's host name, which is SERVICE.NAMESPACE.svc with or without the cluster's domain; null for
 * any other host.
 */
export function namespaceOf(host: string): string | null {
  return /^[^.]+\.([^.]+)\.svc(\.|$)/.exec(host)?.[1] ?? null;
}
