import type { ActionPort } from '#actions/port.ts'
import type { ConfigVersion } from '#config/document.ts'
import type { SkipReason } from '#config/shadow.ts'
import type { Candidate, ChatMessage } from '#models/answer.ts'
import { promptRoom } from '#models/prompt-room.ts'
import type { ModelSpec, RouteSpec } from '#models/schema.ts'
import { fitToWindow, type TokenCounter } from '../compaction.ts'
import { candidatesOf } from '../prepare.ts'
import type { FirstStep } from './first-step.ts'

/** One question to one model. */
export interface Copy {
  candidate: Candidate
  messages: readonly ChatMessage[]
  parameters: Readonly<Record<string, unknown>>
  timers: Omit<RouteSpec, 'models'>
  /** It cannot cost more, as far as we count tokens as the provider does. */
  mostUsd: number
}

export interface CopyOptions {
  actions: Pick<ActionPort, 'tools'>
  counter: TokenCounter
}

const TOKEN_LIMITS = ['max_completion_tokens', 'max_tokens'] as const

/**
 * What the version would ask its model at the turn's first step: its own instructions and actions, the same history and message.
 * The first model of the route alone: a second one would be paid for a comparison of the first.
 */
export async function copyOf(
  { input, prompt }: Pick<FirstStep, 'input' | 'prompt'>,
  version: ConfigVersion,
  { actions, counter }: CopyOptions,
): Promise<Copy | SkipReason> {
  const { specialists, routes } = version.document
  const specialist = Object.hasOwn(specialists, input.specialist) ? specialists[input.specialist] : undefined
  const [candidate] = specialist ? candidatesOf(version, input.specialist) : []
  if (!specialist || !candidate) return 'specialist-missing'
  const tools = actions.tools(version, input.specialist)
  const toolTokens = tools.length === 0 ? 0 : counter.bound([{ role: 'system', content: JSON.stringify(tools) }])
  const asked: ChatMessage[] = [{ role: 'system', content: specialist.instructions }, ...prompt.slice(1)]
  const fitted = await fitToWindow(asked, candidate, toolTokens, counter)
  if (!fitted) return 'too-long'
  const { spec } = candidate
  const { parameters, outputTokens } = limited(spec, parametersOf(input, tools))
  const inputTokens = Math.min(counter.bound(fitted.messages) + toolTokens, promptRoom(spec))
  return {
    candidate,
    messages: fitted.messages,
    parameters,
    timers: routes[specialist.route] ?? {},
    mostUsd: (inputTokens * spec.price.input + outputTokens * spec.price.output) / 1e6,
  }
}

function parametersOf({ alone }: FirstStep['input'], tools: readonly unknown[]): Record<string, unknown> {
  const { tools: _, tool_choice: choice, ...parameters } = alone?.parameters ?? {}
  if (tools.length === 0) return parameters
  return { ...parameters, tools, ...(choice !== undefined && { tool_choice: choice }) }
}

/** An answer without a limit could cost anything, so the model is given one: what its window keeps free for answers, or less. */
function limited(
  spec: ModelSpec,
  parameters: Record<string, unknown>,
): { parameters: Record<string, unknown>; outputTokens: number } {
  const ofVersion = limitIn(spec.extraBody ?? {})
  if (ofVersion) return { parameters, outputTokens: ofVersion.tokens }
  const most = spec.contextWindow - promptRoom(spec)
  const ofCaller = limitIn(parameters)
  const outputTokens = Math.min(most, ofCaller?.tokens ?? most)
  const usual = spec.provider === 'openai-compatible' ? 'max_tokens' : 'max_completion_tokens'
  return { parameters: { ...parameters, [ofCaller?.name ?? usual]: outputTokens }, outputTokens }
}

function limitIn(parameters: Readonly<Record<string, unknown>>): { name: string; tokens: number } | undefined {
  for (const name of TOKEN_LIMITS) {
    const tokens = parameters[name]
    if (typeof tokens === 'number') return { name, tokens }
  }
  return undefined
}
