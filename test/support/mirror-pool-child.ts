// node mirror-pool-child.ts URLS: follows one job per URL, by name, and requests its report repeatedly. On stdin, the
// line `forget` deletes the jobs whose names begin with `gone`; `end` prints the figures and exits.
import { createInterface } from 'node:readline';
import { createLog } from '../../operator/process/log.ts';
import { MirrorPool } from '../../operator/progress/mirror-pool.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import { jobObject } from './planned-job.ts';

const urls = new Map<string, string>(Object.entries(JSON.parse(process.argv[2] ?? '{}')));
const jobs: JobObject[] = [...urls.keys()].map((name) => {
  const made = jobObject({ redis: { urlFrom: { name } } }, { name });
  return { ...made, metadata: { ...made.metadata, uid: name } };
});
// CPU time between two ticks of a timer, about one turn of the event loop. Unlike wall time, it does not grow when
// other processes use the CPU.
let longestCpuMs = 0;
let last = process.cpuUsage();
setInterval(() => {
  const { user, system } = process.cpuUsage(last);
  last = process.cpuUsage();
  longestCpuMs = Math.max(longestCpuMs, (user + system) / 1000);
}, 20);
const pool = new MirrorPool({
  defaultRedis: null,
  log: createLog('warn'),
  jobs: () => jobs,
  addressOf: async ({ metadata }) => ({ url: urls.get(metadata.uid) ?? '', ca: null }),
  changed: (key) =>
    console.log(JSON.stringify({ changed: key, round: pool.progressOf(key.split('/')[1] ?? '')?.round })),
  connected: () => undefined,
  memory: () => undefined,
  leads: () => true,
  registry: null,
  now: Date.now,
  settleMs: 100,
  sweepAgainMs: 2_000,
});
let asked = 0;
const asking = setInterval(() => {
  asked++;
  for (const job of jobs) pool.reportOf(job).catch(() => undefined);
}, 200);
const forget = () => {
  for (const job of jobs.filter(({ metadata }) => metadata.uid.startsWith('gone')))
    pool.forget(job, true).catch(() => process.exit(1));
};
const end = () => {
  clearInterval(asking);
  pool.close();
  console.log(JSON.stringify({ maxRssMiB: process.resourceUsage().maxRSS / 1024, longestCpuMs, asked }));
  process.exit(0);
};
createInterface({ input: process.stdin }).on('line', (line) => (line === 'forget' ? forget() : end()));
