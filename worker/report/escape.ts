const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes text for HTML elements and quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

/** HTML that is already escaped. */
export class Markup {
  readonly source: string;

  /** The caller guarantees that `source` is safe HTML: constant text, or the output of a renderer that escapes. */
  constructor(source: string) {
    this.source = source;
  }
}

export type Content = string | number | Markup | readonly Content[];

/** Builds HTML from a template. Every value is escaped, unless it is a `Markup`. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Markup {
  let source = strings[0] ?? '';
  values.forEach((value, i) => (source += render(value) + (strings[i + 1] ?? '')));
  return new Markup(source);
}

function render(value: Content): string {
  if (value instanceof Markup) return value.source;
  if (typeof value === 'string') return escapeHtml(value);
  return typeof value === 'number' ? String(value) : value.map(render).join('');
}
