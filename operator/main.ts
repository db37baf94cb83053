import packageJson from '../package.json' with { type: 'json' };
import { UserError } from '../crds/facts/user-error.ts';
import { readConfig } from './config/config.ts';
import { lastResort } from './process/last-resort.ts';
import { createLog } from './process/log.ts';
import { startOperator } from './operator.ts';

const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

const { version } = packageJson;

try {
  const config = readConfig(process.argv.slice(2), process.env, version);
  if ('text' in config) {
    process.stdout.write(config.text);
    process.exit(EXIT.ok);
  }

  const log = createLog(config.logLevel);
  const fail = (error: unknown) => {
    log.fatal({ err: error }, 'the operator exits; another replica takes over');
    process.exit(EXIT.failed);
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);

  const operator = await startOperator(config, version, log, fail);
  // From here on an error caused by one job must not end the process.
  const unhandled = lastResort(log, operator.unhandled);
  for (const event of ['uncaughtException', 'unhandledRejection'] as const)
    process.off(event, fail).on(event, unhandled);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    // A second signal ends the process at once.
    process.once(signal, () => {
      log.info({ signal }, 'stopping');
      operator.stop().then(() => {
        log.info('stopped');
        process.exit(EXIT.ok);
      }, fail);
    });
  }
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  const hint = error.hint === undefined ? '' : `hint: ${error.hint}\n`;
  process.stderr.write(`error: ${error.message}\n${hint}`);
  process.exit(EXIT.usage);
}
