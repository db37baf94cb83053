// Error replies of Redis, and what they mean for a job.
import t from 'tap';
import { answerOf, unusable } from '../../worker/transport/redis/answers.ts';
import { RedisUnknownUser, RedisUnreachable, RedisUnusable } from '../../worker/transport/redis/unusable.ts';

class ReplyError extends Error {
  override readonly name = 'ReplyError';
}

/** As Redis 6.2 and 7 write them, also from scripts and transactions, and as ioredis passes them on. */
const TEXTS: Readonly<Record<string, readonly string[]>> = {
  elsewhere: [
    "READONLY You can't write against a read only replica.",
    "READONLY You can't write against a read only replica. script: f1a2, on @user_script:4.",
    "ERR Error running script (call to f_1a2b): @user_script:4: -READONLY You can't write against a read only replica.",
    'UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)',
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
  ],
  passes: [
    'LOADING Redis is loading the dataset in memory',
    'MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk. Commands that may modify the data set are disabled',
    'MISCONF Errors writing to the AOF file: No space left on device script: f1a2, on @user_script:4.',
    "OOM command not allowed when used memory > 'maxmemory'.",
    "ERR Error running script (call to f_1a2b): @user_script:4: @user_script: 4: -OOM command not allowed when used memory > 'maxmemory'.",
    'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.',
    'NOREPLICAS Not enough good replicas to write.',
    'CLUSTERDOWN The cluster is down',
    'CLUSTERDOWN Hash slot not served',
    'TRYAGAIN Multiple keys request during rehashing of slot',
    'ERR max number of clients reached',
    'NOSCRIPT No matching script. Please use EVAL.',
    "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.",
  ],
  'unknown-user': ['WRONGPASS invalid username-password pair or user is disabled.', 'ERR invalid password'],
  stays: [
    'NOAUTH Authentication required.',
    "NOPERM this user has no permissions to run the 'eval' command",
    'NOPERM No permissions to access a key',
    'NOPERM this user has no permissions to access one of the channels used as arguments',
    "ERR The user executing the script can't run this command or subcommand script: f1a2, on @user_script:4.",
    "ERR unknown command 'EVAL', with args beginning with: ",
    'WRONGTYPE Operation against a key holding the wrong kind of value',
    'MOVED 3999 127.0.0.1:6381',
    'ERR something that no Redis has said yet',
  ],
};

t.test('every answer of Redis is one that passes, or one that stays, with what to do', async (t) => {
  for (const [lasts, texts] of Object.entries(TEXTS)) {
    for (const text of texts)
      t.match(answerOf(new ReplyError(text)), { lasts, says: /./, hint: /^[A-Z].*[.)]$/ }, text);
  }
});

t.test('a reply is recognised within ioredis’s error text', async (t) => {
  t.match(answerOf(new Error('Ready check failed: BUSY Redis is busy running a script.')), { lasts: 'passes' });
  t.match(
    answerOf(new Error('Too many Cluster redirections. Last error: ReplyError: CLUSTERDOWN The cluster is down')),
    { lasts: 'passes' },
  );
});

t.test('an error that is not a reply is not recognised as one', async (t) => {
  for (const error of [
    new Error('connect ECONNREFUSED 10.0.0.1:6379'),
    new Error('Connection is closed.'),
    new TypeError('BUSY'),
    'OOM',
    null,
  ])
    t.equal(answerOf(error), null, String(error));
});

t.test('a reply becomes the final error; an unknown reply is quoted, truncated', async (t) => {
  const error = (text: string) => {
    const cause = new ReplyError(text);
    const answer = answerOf(cause);
    return answer === null ? null : unusable(answer, 'redis:6379', cause);
  };
  t.match(error('OOM command'), { message: /^Redis at redis:6379 has no memory left/, hint: /maxmemory/ });
  t.ok(error('OOM command') instanceof RedisUnreachable);
  t.ok(error('WRONGPASS') instanceof RedisUnknownUser);
  const lasting = error('NOPERM');
  t.ok(lasting instanceof RedisUnusable && !(lasting instanceof RedisUnreachable));
  const odd = error(`ERR ${'x'.repeat(10_000)}`);
  t.match(odd, { message: /answers with an error: ERR x+$/ });
  t.ok((odd?.message.length ?? 0) < 300);
});
