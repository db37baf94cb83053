import { RedisUnknownUser, RedisUnreachable, RedisUnusable } from './unusable.ts';

/** What an error that Redis answers with means for a job. */
interface RedisAnswer {
  /**
   * `passes`: the same command may be taken later. `elsewhere`: likewise, perhaps by the Redis to which a new
   * connection leads. `stays`: until somebody changes it. `unknown-user`: likewise, unless Redis was restarted without
   * its users, which are made again.
   */
  readonly lasts: 'passes' | 'elsewhere' | 'unknown-user' | 'stays';
  /** After "Redis at HOST ". */
  readonly says: string;
  /** What to do, in one sentence. */
  readonly hint: string;
}

interface Rule extends RedisAnswer {
  /**
   * Looked for in the whole text: scripts, transactions and the connection's own checks put words before what Redis
   * said.
   */
  readonly sign: RegExp;
}

const CREDENTIALS = 'Correct the credentials in the Secret of spec.redis.urlFrom.';

/**
 * Every kind of error that Redis answers with, the first that fits counts. Redis refuses a command before it does any
 * of it, so what passes can be asked again.
 */
const RULES: readonly Rule[] = [
  {
    sign: /\bREADONLY\b/,
    lasts: 'elsewhere',
    says: 'is a replica, which takes no writes',
    hint: 'Give the address of the master, or of a Service or proxy that follows it.',
  },
  {
    sign: /\bMASTERDOWN\b/,
    lasts: 'elsewhere',
    says: 'is a replica that has lost its master',
    hint: 'Give the address of the master, or of a Service or proxy that follows it.',
  },
  { sign: /\bLOADING\b/, lasts: 'passes', says: 'is reading its files', hint: 'It goes on by itself.' },
  {
    sign: /\bMISCONF\b/,
    lasts: 'passes',
    says: 'cannot save to its disk, and takes no writes until it can (MISCONF)',
    hint: 'Free its disk; its log says why saving fails.',
  },
  {
    sign: /\bOOM\b/,
    lasts: 'passes',
    says: 'has no memory left for what a job writes (OOM)',
    hint: 'Raise its maxmemory, or remove jobs that are over.',
  },
  {
    sign: /\bBUSY\b/,
    lasts: 'passes',
    says: 'is kept busy by a script',
    hint: 'SCRIPT KILL ends one that has written nothing.',
  },
  {
    sign: /\bNOREPLICAS\b/,
    lasts: 'passes',
    says: 'takes no writes while it has too few replicas (NOREPLICAS)',
    hint: 'Bring the replicas back, or lower its min-replicas-to-write.',
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
    hint: 'It goes on by itself.',
  },
  {
    sign: /max number of clients/,
    lasts: 'passes',
    says: 'takes no more connections (maxclients)',
    hint: 'Raise its maxclients, or find out who holds the connections.',
  },
  { sign: /\bNOSCRIPT\b/, lasts: 'passes', says: 'has dropped its scripts', hint: 'It goes on by itself.' },
  {
    sign: /\bMOVED\b|\bASK\b/,
    lasts: 'stays',
    says: 'has become a Redis Cluster',
    hint: 'Start the pods again: they find out what Redis is at their start.',
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
    says: 'asks for credentials and the URL has none',
    hint: 'Put them into the URL: redis://user:password@host:port.',
  },
  {
    sign: /NOPERM|no permissions|can't run this command or subcommand|No permissions to access a (key|channel)/i,
    lasts: 'stays',
    says: 'does not allow this user what a job needs',
    hint: 'Allow it all commands but administrative ones, INFO, the keys fedbiot:* and the channel fedbiot:progress (+@all -@admin -@dangerous +info ~fedbiot:* &fedbiot:progress).',
  },
  {
    sign: /unknown (sub)?command|This Redis command is not allowed from script/i,
    lasts: 'stays',
    says: 'lacks a command that a job needs',
    hint: 'Use a Redis whose commands are neither renamed nor switched off.',
  },
  {
    sign: /\bWRONGTYPE\b/,
    lasts: 'stays',
    says: 'holds something else under a key of this job than a job writes',
    hint: 'Find out who writes to keys fedbiot:*, remove the job’s keys and make the job anew.',
  },
];

/** The answer that an error's text tells of; null when the text is none that Redis is known to give. */
function answerIn(text: string): RedisAnswer | null {
  const rule = RULES.find(({ sign }) => sign.test(text));
  return rule === undefined ? null : { lasts: rule.lasts, says: rule.says, hint: rule.hint };
}

const LONGEST_QUOTE = 200;

/** How ioredis begins its own words around an answer. */
const AROUND = /^(Ready check failed|Too many Cluster redirections)/;

/**
 * What an error is as an answer of Redis; null when Redis did not answer: the connection, or this program, is at fault.
 */
export function answerOf(error: unknown): RedisAnswer | null {
  if (!(error instanceof Error) || !(error.name === 'ReplyError' || AROUND.test(error.message))) return null;
  const known = answerIn(error.message);
  if (known !== null) return known;
  return {
    lasts: 'stays',
    says: `answers with an error: ${error.message.slice(0, LONGEST_QUOTE)}`,
    hint: 'Find out who writes to keys fedbiot:*, and whether this is a Redis of version 6.2 or newer.',
  };
}

/** An answer of the Redis at `host` as the error to end with. */
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
