// A worker pod's environment, log, exit code and termination message.
import { globSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { readTerminationMessage } from '../../operator/status/termination-message.ts';
import { TokenRefused } from '../../worker/bundle/fetch.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { Diverged } from '../../worker/federation/diverged.ts';
import { FolderLost } from '../../worker/files/folder-lock.ts';
import { QuorumNotReached } from '../../worker/federation/state.ts';
import { inClusterWords } from '../../worker/run/pod/cluster-words.ts';
import { endingOf, Interrupted, terminationText } from '../../worker/run/pod/ending.ts';
import { readEnvironment, readServerUrl, secretsOf } from '../../worker/run/pod/environment.ts';
import { secretRedactor } from '../../worker/run/pod/log.ts';
import { uriFolders } from '../../worker/run/pod/context.ts';
import { RedisUnreachable, RedisUnusable } from '../../worker/transport/redis/unusable.ts';
import { Fenced } from '../../worker/transport/redis/fence.ts';

const variables = {
  FEDBIOT_REDIS_URL: 'redis://me:p%40ssword@redis:6379',
  FEDBIOT_JOB_TOKEN: 'the-job-token',
  FEDBIOT_JOB_UID: '8b1c2b8e-5a8a-4a37-8d0f-0c2f6f1d9a11',
  FEDBIOT_JOB_NAMESPACE: 'lab',
  FEDBIOT_POD_NAME: 'tiny-server-0',
};

t.test(
  'the environment is read whole, or the variable that is wrong is named, without its value where that is a secret',
  async (t) => {
    const { uid, redis, logLevel, token } = readEnvironment(variables);
    t.match(
      { uid, redis, logLevel, token },
      {
        uid: variables.FEDBIOT_JOB_UID,
        redis: { url: variables.FEDBIOT_REDIS_URL },
        logLevel: 'info',
        token: 'the-job-token',
      },
    );
    t.equal(readEnvironment({ ...variables, FEDBIOT_REDIS_CA_FILE: '/ca.crt' }).redis.caFile, '/ca.crt');
    for (const name of Object.keys(variables)) {
      for (const value of [undefined, '']) {
        t.throws(() => readEnvironment({ ...variables, [name]: value }), {
          name: 'UserError',
          message: `environment variable ${name}: it is not set`,
        });
      }
    }
    t.throws(() => readEnvironment({ ...variables, FEDBIOT_JOB_UID: 'a}b' }), {
      message: /FEDBIOT_JOB_UID.*is not the uid/,
    });
    t.throws(() => readEnvironment({ ...variables, FEDBIOT_LOG_LEVEL: 'loud' }), {
      message: /FEDBIOT_LOG_LEVEL: "loud" is not one of trace, debug, info/,
    });
    t.throws(() => readServerUrl({ FEDBIOT_SERVER_URL: 'tiny-server:8080' }), {
      message: /FEDBIOT_SERVER_URL.*is not an http/,
    });
    t.equal(
      readServerUrl({ FEDBIOT_SERVER_URL: 'http://tiny-server.lab.svc:8080' }),
      'http://tiny-server.lab.svc:8080',
    );
  },
);

t.test('secrets are removed from every message, in every form they are written', async (t) => {
  const hide = secretRedactor(secretsOf(readEnvironment(variables)));
  const text = `cannot log in to ${variables.FEDBIOT_REDIS_URL} with p@ssword, p%40ssword or the-job-token`;
  t.equal(hide(text), 'cannot log in to [hidden] with [hidden], [hidden] or [hidden]');
  const wrong = secretRedactor(
    secretsOf(readEnvironment({ ...variables, FEDBIOT_REDIS_URL: ' redis://me:hunter%2@redis' })),
  );
  t.equal(wrong('hunter%2'), '[hidden]', 'also where it is no URL');
  t.equal(secretRedactor(['', 'ab'])('about'), 'about', 'what is as short as a syllable is no secret');
});

t.test('a relative path starts at its volume, or at the examples', async (t) => {
  const folders = { job: '', model: '/m', publicData: '/p', clientData: '/c', output: '', cache: '', examples: '/e' };
  t.same(uriFolders({}, folders), { model: '/e', publicData: '/e', clientData: '/e' });
  t.same(uriFolders({ volumes: { clientData: { hostPath: { path: '/x' } } } }, folders), {
    model: '/e',
    publicData: '/e',
    clientData: '/c',
  });
});

t.test('every error has a reason, and an exit code that says whether to retry', async (t) => {
  const running = new AbortController().signal;
  const stop = new AbortController();
  stop.abort(new Error('interrupted'));
  const cases: [unknown, AbortSignal, number, string, RegExp][] = [
    [
      new UserError('40 layers do not fit', { hint: 'Lower adapter.layers.' }),
      running,
      2,
      'InvalidInput',
      /^40 layers do not fit\. Lower adapter\.layers\.$/,
    ],
    [new QuorumNotReached('too few'), running, 2, 'QuorumNotReached', /too few/],
    [new Diverged('NaN'), running, 2, 'NotFinite', /NaN/],
    [new RedisUnusable('wrong password'), running, 2, 'RedisUnusable', /wrong password/],
    [new RedisUnreachable('away'), running, 69, 'RedisUnusable', /away/],
    [new TokenRefused('no'), running, 69, 'TokenRefused', /no/],
    [new TypeError('a bug'), running, 1, 'InternalError', /a bug/],
    ['thrown', running, 1, 'InternalError', /thrown/],
    [new Fenced(1, '2'), running, 130, 'Interrupted', /taken over/],
    [new FolderLost('taken over'), running, 130, 'Interrupted', /taken over/],
    [new Interrupted('in round 2'), stop.signal, 130, 'Interrupted', /in round 2/],
    [stop.signal.reason, stop.signal, 130, 'Interrupted', /told to stop/],
    [new DOMException('', 'AbortError'), stop.signal, 130, 'Interrupted', /told to stop/],
    [new DOMException('', 'AbortError'), running, 1, 'InternalError', /^$/],
    [new UserError('the disk is full'), stop.signal, 2, 'InvalidInput', /disk/],
  ];
  for (const [error, signal, code, reason, message] of cases)
    t.match(endingOf(error, signal), { code, termination: { reason, message } }, String(error));
});

t.test('a pod says what to do in the words of a job, not of the command line', async (t) => {
  const run = '{run-directory,job-date,run-disk}';
  const folders = '{bundle,data,engine,federation,files,hub,model,safetensors,tokenizer,training,transport}';
  const own = /--(out|resume|provider|force|workers|threads)\b|manifest’s folder/;
  const hints = globSync([`worker/${folders}/**/*.ts`, `worker/run/${run}.ts`])
    .flatMap((path) => readFileSync(path, 'utf8').split('\n'))
    .filter((line) => own.test(line) && !/^\s*(\/?\*|\/\/)|'this run'/.test(line));
  t.ok(hints.length >= 20, `${hints.length} lines with such words`);
  for (const hint of hints) t.notMatch(inClusterWords(hint), own);
  t.equal(
    inClusterWords('Free some space there and run again; an interrupted run continues with --resume.'),
    'Free some space there and run again.',
  );
  t.equal(inClusterWords('Use less memory. Continue the run with --resume.'), 'Use less memory.');
  t.equal(
    inClusterWords('Choose another --out folder, or restore the original inputs to resume it.'),
    'Choose another claim in spec.volumes.output, or restore the original inputs to resume it.',
  );
});

t.test('any termination message fits, and the operator reads it', async (t) => {
  t.equal(terminationText({ reason: 'Succeeded', message: 'done' }), '{"reason":"Succeeded","message":"done"}');
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 6000, size: 'max' }), (message) => {
      const text = terminationText({ reason: 'InternalError', message });
      const read = readTerminationMessage(text);
      const { message: said }: { message: string } = JSON.parse(text);
      const isWhole = said === message.toWellFormed();
      const isCut =
        said.endsWith('…') &&
        message.toWellFormed().startsWith(said.slice(0, -1)) &&
        Buffer.byteLength(text) > 4096 - 16;
      return read?.reason === 'InternalError' && (isWhole || isCut) && said.isWellFormed();
    }),
  );
  const long = terminationText({ reason: 'InvalidInput', message: '🙂'.repeat(5000) });
  t.ok(Buffer.byteLength(long) <= 4096 && Buffer.byteLength(long) > 4080, `${Buffer.byteLength(long)} bytes`);
});
