import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { EXIT } from '../../../crds/facts/exit-codes.ts';
import { JOB_FILE } from '../../cluster/pod.ts';
import type { Role } from '../../../crds/facts/role.ts';
import { UserError } from '../../../crds/facts/user-error.ts';
import { clientRole } from './client.ts';
import { readJob } from '../job-manifest.ts';
import type { Pod, PodContext } from './context.ts';
import { inClusterWords } from './cluster-words.ts';
import { endingOf, terminationText } from './ending.ts';
import type { Ending } from './ending.ts';
import { readEnvironment, secretsOf } from './environment.ts';
import { podLog, secretRedactor } from './log.ts';
import { serverRole } from './server.ts';

/**
 * Runs a role to its end. Resources that it leaves open are released when the process exits.
 * @returns the outcome in words
 */
type RoleMain = (pod: Pod) => Promise<string>;

const ROLES: Readonly<Record<Role, RoleMain>> = { server: serverRole, client: clientRole };

/**
 * Runs a role of a job in a pod to its end, and writes the outcome to the log and the termination message.
 * @returns the exit code. The caller must exit with it at once: a server that was replaced must not continue in the
 * background
 */
export async function runRole(name: Role, context: PodContext): Promise<number> {
  let log = podLog('info', { role: name }, []);
  let redact = secretRedactor([]);
  const onAbort = () => log.info('told to stop');
  context.signal.addEventListener('abort', onAbort, { once: true });
  let ending: Ending;
  try {
    const environment = readEnvironment(context.variables);
    const secrets = secretsOf(environment);
    redact = secretRedactor(secrets);
    const { namespace, pod } = environment;
    log = podLog(environment.logLevel, { role: name, namespace, pod }, secrets);
    const job = readJob(join(context.folders.job, JOB_FILE));
    log = podLog(environment.logLevel, { role: name, namespace, job: job.metadata.name, pod }, secrets);
    log.info(
      { threads: context.threads, provider: context.provider },
      `threads of each compute process: ${context.threads}`,
    );
    const message = await ROLES[name]({ context, environment, job, log });
    log.info(message);
    ending = { code: EXIT.succeeded, termination: { reason: 'Succeeded', message } };
  } catch (error) {
    ending = endingOf(error, context.signal);
    logEnding(log, ending, error);
  }
  const { reason, message } = ending.termination;
  try {
    // The kubelet creates the file. Without it, nothing reads the message.
    writeFileSync(context.terminationLog, terminationText({ reason, message: redact(message) }), { flag: 'r+' });
  } catch (error) {
    log.debug(`the termination message could not be written: ${String(error)}`);
  }
  return ending.code;
}

/** Does not log the error object: libraries may attach passwords to their errors. */
function logEnding(log: Logger, { code, termination: { reason, message } }: Ending, error: unknown): void {
  if (code === EXIT.interrupted) log.info({ reason }, message);
  else if (error instanceof UserError)
    log.error({ reason, ...(error.hint === undefined ? {} : { hint: inClusterWords(error.hint) }) }, error.message);
  else log.error({ reason, stack: error instanceof Error ? error.stack : undefined }, message);
}
