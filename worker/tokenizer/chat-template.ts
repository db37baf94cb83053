import { join } from 'node:path';
import { parse, tokenize } from '@huggingface/jinja';
import { isRecord } from '../../crds/json-schema/node.ts';
import { errorMessage, UserError } from '../../crds/facts/user-error.ts';
import type { JsonObject } from '../files/json-value.ts';
import { isThere, readText, SMALL_FILE_BYTES } from '../files/read.ts';
import { BoundedInterpreter, boundedRange, environmentWith } from './chat-interpreter.ts';
import { strftime } from './strftime.ts';

/** A turn of a conversation, with every field that its record has: `tool_calls`, `name`, `reasoning_content`, … */
export interface ChatMessage {
  readonly role: string;
  /** Null: the turn is in other fields, such as `tool_calls`. */
  readonly content: string | null;
  readonly [field: string]: unknown;
}

/** What a chat template is given, as by Python's `apply_chat_template`. */
export interface Conversation {
  readonly messages: readonly ChatMessage[];
  /** JSON schemas of functions. */
  readonly tools?: readonly unknown[];
  readonly documents?: readonly unknown[];
  /** Further variables, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

export interface RenderOptions {
  /** Whether the text ends with what opens the assistant's turn. */
  readonly addGenerationPrompt: boolean;
  /** What the template takes for today, as 2026-11-30; null: it may not ask. */
  readonly date: string | null;
}

/** Renders conversations to the text that the model was tuned on. */
export interface ChatTemplate {
  /** Whether the text depends on the day. */
  readonly readsDate: boolean;
  /** @throws UserError when the template refuses the conversation */
  render(conversation: Conversation, options: RenderOptions): string;
}

/**
 * The chat template of a model directory: chat_template.jinja, else `chat_template` of tokenizer_config.json (a text,
 * or a list of named ones of which `default` counts). Null when there is none.
 */
export async function loadChatTemplate(
  directory: string,
  config: JsonObject,
  specialTokens: Readonly<Record<string, string>>,
): Promise<ChatTemplate | null> {
  const file = join(directory, 'chat_template.jinja');
  const source = isThere(file)
    ? readText(file, 'a chat template', { maxBytes: SMALL_FILE_BYTES })
    : templateOf(config['chat_template']);
  if (source === null) return null;
  const failure = (what: string, cause: unknown) =>
    new UserError(`the chat template of ${directory} ${what}: ${errorMessage(cause)}`, {
      hint: 'Set data.*.template to Alpaca, or use a model whose chat template renders these messages.',
      cause,
    });
  let program: ReturnType<typeof parse>;
  try {
    // As Python's environment for chat templates is set up.
    program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (cause) {
    throw failure('cannot be parsed', cause);
  }
  return {
    readsDate: /\bstrftime_now\b/.test(source),
    render: ({ messages, tools = null, documents = null, variables }, { addGenerationPrompt, date }) => {
      try {
        // The library sorts keys by the language of the machine.
        if (/\bsort_keys\b/.test(source)) throw new Error('tojson with sort_keys is not supported');
        const given = {
          ...specialTokens,
          ...variables,
          messages,
          tools,
          documents,
          add_generation_prompt: addGenerationPrompt,
        };
        const text = new BoundedInterpreter(environmentOf(given, date)).run(program).value;
        if (typeof text !== 'string') throw new Error('it writes no text');
        return text;
      } catch (cause) {
        throw failure('refuses the messages', cause);
      }
    },
  };
}

/** All that a template can name. The library's own set reaches the machine's clock, zone and language. */
function environmentOf(
  given: Readonly<Record<string, unknown>>,
  date: string | null,
): ReturnType<typeof environmentWith> {
  const globals = {
    ...{ true: true, True: true, false: false, False: false, none: null, None: null },
    range: boundedRange,
    raise_exception: (message: unknown) => {
      throw new Error(String(message));
    },
    strftime_now: (format: unknown) => {
      if (typeof format !== 'string') throw new Error('strftime_now takes a text');
      if (date === null) throw new Error('it asks for the day, and the job says none in data.date');
      return strftime(date, format);
    },
  };
  return environmentWith({ ...globals, ...given });
}

function templateOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return null;
  const chosen = value.filter(isRecord).find((entry) => entry['name'] === 'default');
  return typeof chosen?.['template'] === 'string' ? chosen['template'] : null;
}
