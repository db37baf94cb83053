import { RedisUnknownUser, RedisUnreachable, RedisUnusable } from './unusable.ts';

/** The meaning of an error reply of Redis for a job. */
interface RedisAnswer {
  /**
   * `passes`: a retry of the command may succeed. `elsewhere`: a retry may succeed, perhaps on a new connection, which
   * may lead to another Redis. `stays`: somebody must change something. `unknown-user`: the same, unless Redis was
   * restarted without its users, which the operator creates again.
   */
  readonly lasts: 'passes' | 'elsewhere' | 'unknown-user' | 'stays';
  /** Follows "Redis at HOST " in messages. */
  readonly says: string;
  /** What to do, in one sentence. */
  readonly hint: string;
}

interface Rule extends RedisAnswer {
  /**
   * Matched anywhere in the text: scripts, transactions and the connection's checks put words before the reply of
   * Redis.
   */
  readonly sign: RegExp;
}

const CREDENTIALS = 'Correct the credentials in the Secret of spec.redis.urlFrom.';

/**
 * Known error replies of Redis; the first rule that matches applies. Redis refuses a command before it executes any
 * part of it, so a retry is safe.
 */
const RULES: readonly Rule[] = [
  {
    sign: /\bREADONLY\b/,
    lasts: 'elsewhere',
    says: 'is a replica, which accepts no writes',
    hint: 'Give the address of the master, or of a Service or proxy that follows it.',
  },
  {
    sign: /\bMASTERDOWN\b/,
    lasts: 'elsewhere',
    says: 'is a replica that has lost its master',
    hint: 'Give the address of the master, or of a Service or proxy that follows it.',
  },
  {
    sign: /\bUNBLOCKED\b/,
    lasts: 'elsewhere',
    says: 'has become a replica, and ended a read that waited',
    hint: 'Give the address of the master, or of a Service or proxy that follows it.',
  },
  { sign: /\bLOADING\b/, lasts: 'passes', says: 'is loading its data', hint: 'It recovers by itself.' },
  {
    sign: /\bMISCONF\b/,
    lasts: 'passes',
    says: 'cannot save to its disk, and accepts no writes until it can (MISCONF)',
    hint: 'Free its disk; its log says why saving fails.',
  },
  {
    sign: /\bOOM\b/,
    lasts: 'passes',
    says: 'has no memory left for what a job writes (OOM)',
    hint: 'Raise its maxmemory, or remove jobs that have ended.',
  },
  {
    sign: /\bBUSY\b/,
    lasts: 'passes',
    says: 'is busy with a script',
    hint: 'SCRIPT KILL ends a script that has written nothing.',
  },
  {
    sign: /\bNOREPLICAS\b/,
    lasts: 'passes',
    says: 'accepts no writes while it has too few replicas (NOREPLICAS)',
    hint: 'Restore the replicas, or lower its min-replicas-to-write.',
  },
  {
    sign: /\bCLUSTERDOWN\b|Cluster redirections/,
    lasts: 'passes',
    says: 'is a cluster that is not complete',
    hint: 'See what CLUSTER INFO and CLUSTER NODES say there.',
  },
  {
    sign: /\bTRYAGAIN\b/,
    lasts: 'passes',
    says: 'is moving the job’s keys between nodes',
    hint: 'It recovers by itself.',
  },
  {
    sign: /max number of clients/,
    lasts: 'passes',
    says: 'accepts no more connections (maxclients)',
    hint: 'Raise its maxclients, or find out who holds the connections.',
  },
  { sign: /\bNOSCRIPT\b/, lasts: 'passes', says: 'has dropped its scripts', hint: 'It recovers by itself.' },
  {
    sign: /\bMOVED\b|\bASK\b/,
    lasts: 'stays',
    says: 'has become a Redis Cluster',
    hint: 'Restart the pods: they detect a cluster only when they start.',
  },
  {
    sign: /WRONGPASS|invalid password|invalid username/i,
    lasts: 'unknown-user',
    says: 'refuses the user or password',
    hint: CREDENTIALS,
  },
  {
    sign: /\bNOAUTH\b/,
    lasts: 'stays',
    says: 'requires credentials, and the URL has none',
    hint: 'Add them to the URL: redis://user:password@host:port.',
  },
  {
    sign: /NOPERM|no permissions|can't run this command or subcommand|No permissions to access a (key|channel)/i,
    lasts: 'stays',
    says: 'denies this user a permission that a job needs',
    hint: 'Allow all commands except administrative ones, and INFO, the keys fedbiot:* and the channel fedbiot:progress (+@all -@admin -@dangerous +info ~fedbiot:* &fedbiot:progress).',
  },
  {
    sign: /unknown (sub)?command|This Redis command is not allowed from script/i,
    lasts: 'stays',
    says: 'lacks a command that a job needs',
    hint: 'Use a Redis whose commands are neither renamed nor disabled.',
  },
  {
    sign: /\bWRONGTYPE\b/,
    lasts: 'stays',
    says: 'holds a value under a key of this job that no job writes',
    hint: 'Find out who writes to keys fedbiot:*, remove the job’s keys and create the job again.',
  },
];

/** The known error reply in a text; null if there is none. */
function answerIn(text: string): RedisAnswer | null {
  const rule = RULES.find(({ sign }) => sign.test(text));
  return rule === undefined ? null : { lasts: rule.lasts, says: rule.says, hint: rule.hint };
}

const MAX_QUOTE_CHARS = 200;

/** Prefixes that ioredis puts before an error reply. */
const AROUND = /^(Ready check failed|Too many Cluster redirections)/;

/**
 * An error as an error reply of Redis; null if it is none: then the connection, or this program, is at fault.
 */
export function answerOf(error: unknown): RedisAnswer | null {
  if (!(error instanceof Error) || !(error.name === 'ReplyError' || AROUND.test(error.message))) return null;
  const known = answerIn(error.message);
  if (known !== null) return known;
  return {
    lasts: 'stays',
    says: `answers with an error: ${error.message.slice(0, MAX_QUOTE_CHARS)}`,
    hint: 'Find out who writes to keys fedbiot:*, and whether this is a Redis of version 6.2 or newer.',
  };
}

/** The error for an error reply of the Redis at `host`. */
export function unusable({ lasts, says, hint }: RedisAnswer, host: string, cause: unknown): RedisUnusable {
  const message = `Redis at ${host} ${says}`;
  const options = { hint, cause };
  switch (lasts) {
    case 'stays':
      return new RedisUnusable(message, options);
    case 'unknown-user':
      return new RedisUnknownUser(message, options);
    default:
      return new RedisUnreachable(message, options);
  }
}
