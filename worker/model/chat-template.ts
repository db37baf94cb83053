import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Template } from '@huggingface/jinja';
import { UserError } from '../errors.ts';
import { isJsonObject, type JsonObject } from '../files/read.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** Renders messages to the text the model was tuned on. */
export type RenderChat = (messages: readonly ChatMessage[], options: { addGenerationPrompt: boolean }) => string;

/**
 * The chat template of a model directory: chat_template.jinja, else `chat_template` of tokenizer_config.json (a text, or a
 * list of named ones of which `default` counts). Null when there is none.
 */
export async function loadChatTemplate(
  directory: string,
  config: JsonObject,
  specialTokens: Readonly<Record<string, string>>,
): Promise<RenderChat | null> {
  const file = join(directory, 'chat_template.jinja');
  const source = (await readFile(file, 'utf8').catch(() => null)) ?? templateOf(config['chat_template']);
  if (source === null) return null;
  const failure = (what: string, cause: unknown) =>
    new UserError(`the chat template of ${directory} ${what}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      hint: 'Set data.*.template to Alpaca, or use a model whose chat template renders these messages.',
      cause,
    });
  let template: Template;
  try {
    template = new Template(source);
  } catch (cause) {
    throw failure('cannot be parsed', cause);
  }
  return (messages, { addGenerationPrompt }) => {
    try {
      return template.render({ ...specialTokens, messages, add_generation_prompt: addGenerationPrompt });
    } catch (cause) {
      throw failure('refuses the messages', cause);
    }
  };
}

function templateOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return null;
  const chosen = value.filter(isJsonObject).find((entry) => entry['name'] === 'default');
  return typeof chosen?.['template'] === 'string' ? chosen['template'] : null;
}
