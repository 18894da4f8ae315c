/**
 * Names of the OpenTelemetry conventions for generative AI, in one place: they are in development, and change.
 * https://opentelemetry.io/docs/specs/semconv/gen-ai/
 */
export const genAi = {
  duration: 'gen_ai.client.operation.duration',
  timeToFirstChunk: 'gen_ai.client.operation.time_to_first_chunk',
  timePerOutputChunk: 'gen_ai.client.operation.time_per_output_chunk',
  tokenUsage: 'gen_ai.client.token.usage',

  operation: 'gen_ai.operation.name',
  provider: 'gen_ai.provider.name',
  model: 'gen_ai.request.model',
  tokenType: 'gen_ai.token.type',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  agent: 'gen_ai.agent.name',
  tool: 'gen_ai.tool.name',
  errorType: 'error.type',
} as const

export const CHAT = 'chat'
export const INVOKE_AGENT = 'invoke_agent'
export const EXECUTE_TOOL = 'execute_tool'

/** A provider by the name that the conventions give it; ours where they have none. */
export function providerName(provider: string): string {
  return provider === 'azure-openai' ? 'azure.ai.openai' : provider
}

/** Boundaries that the conventions recommend. */
export const seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
export const tokens = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576]
