import { join } from 'node:path';
import { parse, tokenize } from '@huggingface/jinja';
import { isRecord } from '../../crds/json-schema/node.ts';
import { errorMessage, UserError } from '../../crds/facts/user-error.ts';
import type { JsonObject } from '../files/json-value.ts';
import { isThere, readText, SMALL_FILE_BYTES } from '../files/read.ts';
import { BoundedInterpreter, boundedRange, environmentWith } from './chat-interpreter.ts';
import { strftime } from './strftime.ts';

/** A turn of a conversation, with all fields of its record: `tool_calls`, `name`, `reasoning_content`, … */
export interface ChatMessage {
  readonly role: string;
  /** Null if the turn consists of other fields, such as `tool_calls`. */
  readonly content: string | null;
  readonly [field: string]: unknown;
}

/** The variables of a chat template, as in Python's `apply_chat_template`. */
export interface Conversation {
  readonly messages: readonly ChatMessage[];
  /** JSON schemas of the functions. */
  readonly tools?: readonly unknown[];
  readonly documents?: readonly unknown[];
  /** Further variables, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

export interface RenderOptions {
  /** Whether to end the text with the tokens that open the assistant's turn. */
  readonly addGenerationPrompt: boolean;
  /** The date that the template uses as today, such as 2026-11-30; null: the template must not ask for it. */
  readonly date: string | null;
}

/** Renders conversations as the text that the model was fine-tuned on. */
export interface ChatTemplate {
  /** Whether the text depends on the date. */
  readonly readsDate: boolean;
  /** @throws UserError if the template refuses the conversation */
  render(conversation: Conversation, options: RenderOptions): string;
}

/**
 * The chat template of a model directory: chat_template.jinja, or else `chat_template` in tokenizer_config.json (a
 * text, or a list of named templates, of which `default` is used). Null if there is none.
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
    // The same settings as Python's environment for chat templates.
    program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (cause) {
    throw failure('cannot be parsed', cause);
  }
  return {
    readsDate: /\bstrftime_now\b/.test(source),
    render: ({ messages, tools = null, documents = null, variables }, { addGenerationPrompt, date }) => {
      try {
        // The library sorts keys by the locale of the machine.
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
        if (typeof text !== 'string') throw new Error('it does not produce text');
        return text;
      } catch (cause) {
        throw failure('refuses the messages', cause);
      }
    },
  };
}

/**
 * All names that a template can use. The library's own set gives access to the machine's clock, time zone and language.
 */
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
      if (typeof format !== 'string') throw new Error('strftime_now takes a string');
      if (date === null) throw new Error('it reads the date, but the job does not set data.date');
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
