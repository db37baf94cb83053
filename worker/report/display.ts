import type { RunEvent } from '../../crds/facts/events.ts';
import type { LiveEvent, ProgressState } from './display-state.ts';
import { advance, initialProgress, isRunEvent } from './display-state.ts';
import { eventLine, statusLines, statusText } from './status-lines.ts';

/**
 * live: a status that is redrawn in place. plain: lines of text. json: the run's events as JSON lines. quiet: only
 * warnings.
 */
export type DisplayMode = 'live' | 'plain' | 'json' | 'quiet';

/** An output stream of a display. Terminals have `columns`. */
export interface Output {
  write(text: string): unknown;
  readonly columns?: number;
}

export interface DisplayOptions {
  readonly mode: DisplayMode;
  readonly color: boolean;
  /** For data: the events of mode json. */
  readonly stdout: Output;
  /** For messages to the user. */
  readonly stderr: Output;
  /** Seconds, from any origin. */
  readonly now: () => number;
}

export interface Display {
  show(event: LiveEvent): void;
  /** Writes a line, above a live status. */
  note(line: string): void;
  /**
   * Redraws or repeats the status if it is due. Called about every second, so that the status also updates without
   * events.
   */
  tick(): void;
  /** Erases a live status. */
  close(): void;
}

const REDRAW_SECONDS = 0.1;
const REPEAT_SECONDS = 10;

/** The display mode: as requested, otherwise depending on whether stderr is a terminal. */
export function displayMode(
  requested: { json: boolean; quiet: boolean },
  terminal: boolean,
  term: string | undefined,
): DisplayMode {
  if (requested.json) return 'json';
  if (requested.quiet) return 'quiet';
  return terminal && term !== 'dumb' ? 'live' : 'plain';
}

export function createDisplay(options: DisplayOptions): Display {
  switch (options.mode) {
    case 'live':
      return liveDisplay(options);
    case 'plain':
      return plainDisplay(options);
    case 'json':
      return eventsOnly(options, (event) => options.stdout.write(`${JSON.stringify(event)}\n`));
    case 'quiet':
      return eventsOnly(options, (event) => {
        if (event.event === 'warning') options.stderr.write(`${eventLine(event, 0)}\n`);
      });
  }
}

function eventsOnly({ stderr }: DisplayOptions, handle: (event: RunEvent) => void): Display {
  return {
    show: (event) => {
      if (isRunEvent(event)) handle(event);
    },
    note: (line) => stderr.write(`${line}\n`),
    tick: () => undefined,
    close: () => undefined,
  };
}

/** Writes a line for every phase and round, and the status after ten seconds without a line. */
function plainDisplay({ stderr, now }: DisplayOptions): Display {
  let state: ProgressState = { ...initialProgress, began: now() };
  let last = now();
  const write = (line: string) => {
    stderr.write(`${line}\n`);
    last = now();
  };
  const tick = () => {
    if (now() - last >= REPEAT_SECONDS) write(statusText(state, now()));
  };
  return {
    show: (event) => {
      state = advance(state, event, now());
      if (!isRunEvent(event)) return tick();
      if (event.event === 'phase') return write(`round ${event.round}/${state.rounds}  ${phaseLine(event)}`);
      const line = eventLine(event, state.rounds);
      if (line === null) tick();
      else write(line);
    },
    note: write,
    tick,
    close: () => undefined,
  };
}

function phaseLine({ phase, steps }: { phase: string; steps: number | null }): string {
  return steps === null ? phase : `${phase}: ${steps} steps`;
}

/** Shows the status in the last lines of the terminal. Permanent lines are written above it. */
function liveDisplay({ stderr, color, now }: DisplayOptions): Display {
  let state: ProgressState = { ...initialProgress, began: now() };
  let drawn: number[] = [];
  let last = -Infinity;

  /**
   * Moves the cursor to the start of the status and erases from there. If the terminal was narrowed meanwhile, the
   * status lines have wrapped.
   */
  const erase = () => {
    const rows = drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns())), 0);
    drawn = [];
    return rows === 0 ? '' : `\r${rows > 1 ? `\x1b[${rows - 1}A` : ''}\x1b[J`;
  };
  const columns = () => Math.max(1, stderr.columns ?? 80);
  const draw = (above: string | null) => {
    const at = now();
    const cleared = erase();
    // Leaves one column free, because some terminals wrap when the last column is written.
    const width = columns() - 1;
    const plain = statusLines(state, at, width, false);
    drawn = plain.map((line) => line.length);
    const lines = color ? statusLines(state, at, width, true) : plain;
    stderr.write(`${cleared}${above === null ? '' : `${above}\n`}${lines.join('\n')}`);
    last = at;
  };
  const tick = () => {
    if (now() - last >= REDRAW_SECONDS) draw(null);
  };
  return {
    show: (event) => {
      state = advance(state, event, now());
      const line = isRunEvent(event) ? eventLine(event, state.rounds) : null;
      if (line === null) tick();
      else draw(line);
    },
    note: draw,
    tick,
    close: () => {
      stderr.write(erase());
    },
  };
}
