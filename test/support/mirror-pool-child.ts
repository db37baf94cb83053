// node mirror-pool-child.ts URLS: follows a job for each URL, by name, asks for its report and removes its keys, until
// stdin says to end.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createLog } from '../../operator/process/log.ts';
import { MirrorPool } from '../../operator/progress/mirror-pool.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import { jobObject } from './planned-job.ts';

const urls = new Map<string, string>(Object.entries(JSON.parse(process.argv[2] ?? '{}')));
const jobs: JobObject[] = [...urls.keys()].map((name) => {
  const made = jobObject({ redis: { urlFrom: { name } } }, { name });
  return { ...made, metadata: { ...made.metadata, uid: name } };
});
const delay = monitorEventLoopDelay();
delay.enable();
const pool = new MirrorPool({
  defaultRedis: null,
  log: createLog('warn'),
  jobs: () => jobs,
  addressOf: async ({ metadata }) => ({ url: urls.get(metadata.uid) ?? '', ca: null }),
  changed: (key) =>
    console.log(JSON.stringify({ changed: key, round: pool.progressOf(key.split('/')[1] ?? '')?.round })),
  connected: () => undefined,
  memory: () => undefined,
  now: Date.now,
  settleMs: 100,
  sweepAgainMs: 2_000,
});
const asking = setInterval(() => {
  for (const job of jobs) pool.reportOf(job).catch(() => undefined);
}, 200);
const forgetting = setTimeout(() => {
  for (const job of jobs.filter(({ metadata }) => metadata.uid.startsWith('gone')))
    pool.forget(job, true).catch(() => process.exit(1));
}, 2_000);
process.stdin.once('data', () => {
  clearInterval(asking);
  clearTimeout(forgetting);
  pool.close();
  console.log(
    JSON.stringify({ ended: true, maxRssMiB: process.resourceUsage().maxRSS / 1024, longestMs: delay.max / 1e6 }),
  );
  process.exit(0);
});
