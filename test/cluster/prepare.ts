// Builds in advance what the tests against a real Kubernetes need, because a first build takes longer than a test may.
import { ensureCoreDns } from './ensure-coredns.ts';
import { ensureHealth } from './ensure-health.ts';
import { ensureHelm } from './ensure-helm.ts';
import { ensureKueue } from './ensure-kueue.ts';
import { ensureKubernetes } from './ensure.ts';
import { missingForLab } from './lab/requirements.ts';

const kubernetes = await ensureKubernetes();
process.stdout.write(
  'skip' in kubernetes
    ? `tests against a real Kubernetes will be skipped: ${kubernetes.skip}\n`
    : `Kubernetes: ${kubernetes.folder}\n`,
);

const helm = await ensureHelm();
process.stdout.write('skip' in helm ? `tests of the chart will be skipped: ${helm.skip}\n` : `Helm: ${helm.folder}\n`);

const health = await ensureHealth();
process.stdout.write(
  'skip' in health ? `tests of kstatus will be skipped: ${health.skip}\n` : `kstatus: ${health.folder}\n`,
);

const kueue = await ensureKueue();
process.stdout.write(
  'skip' in kueue ? `tests with Kueue will be skipped: ${kueue.skip}\n` : `Kueue: ${kueue.folder}\n`,
);

// Only pods in the lab need to resolve names.
const missing = missingForLab();
if (missing === null) {
  const coredns = await ensureCoreDns();
  process.stdout.write(
    'skip' in coredns ? `tests with real pods will be skipped: ${coredns.skip}\n` : `CoreDNS: ${coredns.folder}\n`,
  );
} else {
  process.stdout.write(`tests with real pods will be skipped: ${missing}\n`);
}
