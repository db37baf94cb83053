import pino from 'pino';
import type { DestinationStream, Logger } from 'pino';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A log of JSON lines: level as a word, time in ISO 8601; a job's lines have `namespace` and `job`. */
export function createLog(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    // Errors may contain headers of requests and answers.
    redact: {
      paths: ['*.authorization', '*.headers.authorization', '*.*.headers.authorization', 'authorization'],
      censor: '[hidden]',
    },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/** The log of one job. */
export const jobLog = (log: Logger, namespace: string, job: string): Logger => log.child({ namespace, job });
