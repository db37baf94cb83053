// Builds what the tests against a real Kubernetes need, before them: a first build takes longer than a test may.
import { ensureKubernetes } from './ensure.ts';

const found = await ensureKubernetes();
process.stdout.write('skip' in found ? `tests against a real Kubernetes will be skipped: ${found.skip}\n` : `Kubernetes: ${found.folder}\n`);
