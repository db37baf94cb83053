import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { podLogs } from '../../cluster/lab/kubelet.ts';
import type { Lab } from '../../cluster/lab/start.ts';

/** Relevant lines of a container's log. */
const TAIL = 60;

/**
 * Everything that may explain why a test in the lab failed: objects, events, and the last output of containers and
 * components.
 */
export async function labReport(lab: Lab): Promise<string> {
  const asked = async (...args: string[]) => section(args.join(' '), await lab.kubectl(args).catch(String));
  const sections = [
    await asked(
      'get',
      'nodes,pods,jobs,fedbiotjobs,persistentvolumes,persistentvolumeclaims,leases',
      '--all-namespaces',
      '--output=wide',
    ),
    await asked('get', 'events', '--all-namespaces', '--sort-by=.lastTimestamp'),
    await asked('get', 'fedbiotjobs', '--all-namespaces', '--output=yaml'),
    ...lab.components.map(({ name, logTail }) => section(`log of ${name}`, logTail())),
  ];
  const folder = podLogs(lab.folder);
  for (const name of await readdir(folder, { recursive: true })) {
    if (name.endsWith('.log'))
      sections.push(section(`log of ${name}`, lastLines(await readFile(join(folder, name), 'utf8').catch(String))));
  }
  return sections.join('\n');
}

const section = (title: string, text: string) => `── ${title}\n${text.trimEnd()}\n`;

const lastLines = (text: string) => text.trimEnd().split('\n').slice(-TAIL).join('\n');
