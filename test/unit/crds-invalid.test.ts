import t from 'tap';
import { ManifestError, parseManifest } from '../../crds/parse.ts';
import { INVALID_JOBS, manifestOf, validJob } from '../fixtures/invalid-jobs.ts';

const problemsOf = (manifest: object) => {
  try {
    parseManifest(JSON.stringify(manifest), 'job.json');
    return [];
  } catch (error) {
    if (error instanceof ManifestError) return error.problems;
    throw error;
  }
};

t.test('the job that the others are made from is valid', (t) => {
  t.strictSame(problemsOf(validJob()), []);
  t.end();
});

t.test('each of them is refused, for the field that is wrong', (t) => {
  t.ok(INVALID_JOBS.length >= 100, `${INVALID_JOBS.length} manifests`);
  t.equal(new Set(INVALID_JOBS.map(({ what }) => what)).size, INVALID_JOBS.length, 'no two are called the same');
  for (const invalid of INVALID_JOBS) {
    const problems = problemsOf(manifestOf(invalid));
    t.ok(
      problems.some(({ path }) => path === invalid.field),
      `${invalid.what}: ${invalid.field}`,
      { problems },
    );
    for (const { message } of problems)
      t.ok(message.length > 5 && !message.includes('undefined'), `${invalid.what}: ${message}`);
  }
  t.end();
});
