import { listenForInterrupts } from '../../worker/commands/interrupts.ts';
import { podContext } from '../../worker/run/pod/context.ts';
import type { PodContext } from '../../worker/run/pod/context.ts';
import { runRole } from '../../worker/run/pod/role.ts';

/**
 * node role-child.ts server|client SURROUNDINGS: the process of a worker pod, like `fedbiot server` or `fedbiot
 * client`, with other surroundings.
 */
const [role, text = '{}'] = process.argv.slice(2);
const surroundings: Partial<PodContext> = JSON.parse(text);
const stop = new AbortController();
listenForInterrupts(stop, () => undefined);
const context = { ...podContext({ provider: 'cpu', threads: 1 }, stop.signal), ...surroundings };
process.exit(await runRole(role === 'server' ? 'server' : 'client', context));
