import type { ModelSpec } from './schema.ts'

const MAX_DEFAULT_OUTPUT = 4096

/** Tokens of a window that a prompt may take: the rest is kept free for the answer. */
export function promptRoom({ contextWindow, maxOutput }: Pick<ModelSpec, 'contextWindow' | 'maxOutput'>): number {
  return contextWindow - (maxOutput ?? Math.min(MAX_DEFAULT_OUTPUT, Math.floor(contextWindow / 4)))
}
