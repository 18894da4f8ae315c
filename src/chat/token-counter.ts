import { countMessages, maxTokens } from '#models/tokenizer.ts'
import type { TokenCounter } from './compaction.ts'

export const tokenCounter: TokenCounter = {
  bound: (messages) => maxTokens(JSON.stringify(messages)),
  count: countMessages,
}
