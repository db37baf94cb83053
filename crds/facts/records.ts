/** Formats of training and evaluation records. */
export const RECORD_FORMATS = ['Auto', 'Alpaca', 'Dolly', 'GSM8K', 'QuestionAnswer', 'Chat', 'Tokenized'] as const;

/** Templates that make a prompt of a record. */
export const TEMPLATES = ['Alpaca', 'Chat', 'None'] as const;
