import type { Logger } from 'pino';
import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import { errorMessage } from '../../crds/facts/user-error.ts';
import type { ObjectReference } from '../objects/planned.ts';
import type { ObservedWarning } from '../objects/observed.ts';
import type { ApiClient } from './api-client.ts';
import { collectionPath, RESOURCE } from '../objects/resources.ts';

/** Limit of the events that are read: a namespace may have many. */
const MAX_EVENTS = 100;

const textOrNull = Type.Optional(Type.Union([Type.String(), Type.Null()]));
const Event = Type.Object({
  reason: textOrNull,
  note: textOrNull,
  eventTime: textOrNull,
  /** Set by writers of the older event API, such as the Job controller. */
  deprecatedLastTimestamp: textOrNull,
  series: Type.Optional(Type.Union([Type.Object({ lastObservedTime: textOrNull }), Type.Null()])),
  metadata: Type.Object({ creationTimestamp: textOrNull }),
});
const List = Type.Object({ items: Type.Array(Type.Unknown()) });

/** The last Event of type Warning about the object; null: there is none, or events cannot be read. */
export async function lastWarning(
  client: ApiClient,
  { namespace, uid }: ObjectReference,
  log: Logger,
): Promise<ObservedWarning | null> {
  if (uid === undefined) return null;
  let answer: unknown;
  try {
    const fieldSelector = `type=Warning,regarding.uid=${uid}`;
    answer = await client.json('GET', collectionPath(RESOURCE.event, namespace), {
      query: { fieldSelector, limit: MAX_EVENTS },
    });
  } catch (error) {
    // The job is reconciled without them: only the status lacks a reason.
    log.warn({ namespace, reason: errorMessage(error) }, 'events cannot be read');
    return null;
  }
  const items = Value.Check(List, answer) ? answer.items : [];
  const warnings = items.flatMap((item) => (Value.Check(Event, item) ? (warningOf(item) ?? []) : []));
  return warnings.reduce<ObservedWarning | null>(
    (last, warning) => (last === null || Date.parse(warning.at) >= Date.parse(last.at) ? warning : last),
    null,
  );
}

function warningOf({
  reason,
  note,
  eventTime,
  deprecatedLastTimestamp,
  series,
  metadata,
}: Static<typeof Event>): ObservedWarning | null {
  const at = series?.lastObservedTime ?? deprecatedLastTimestamp ?? eventTime ?? metadata.creationTimestamp;
  return reason && at && !Number.isNaN(Date.parse(at)) ? { reason, message: note ?? '', at } : null;
}
