import type { ConfigDocument } from '#config/document.ts'
import type { ModelSpec, RouteSpec } from '#models/schema.ts'

const price = { input: 2, output: 8 }

/** A model behind a mock upstream. */
export function upstreamModel(name: string, baseUrl: string, more: Partial<ModelSpec> = {}): ModelSpec {
  return {
    provider: 'openai-compatible',
    model: name,
    baseUrl,
    contextWindow: 32_000,
    continuation: 'restart',
    price,
    ...more,
  }
}

/**
 * A config version for tests: the models in order on the route `default`; `plain` has no actions, `helper` has the two that
 * are built in.
 */
export function chatConfig(models: Record<string, ModelSpec>, timers: Omit<RouteSpec, 'models'> = {}): ConfigDocument {
  return {
    description: 'for a test',
    models,
    routes: { default: { models: Object.keys(models), ...timers } },
    specialists: {
      plain: { title: 'Plain', instructions: 'Answer.', route: 'default' },
      helper: {
        title: 'Helper',
        instructions: 'Answer, with actions.',
        route: 'default',
        actions: ['current_time', 'calculate'],
      },
    },
    actions: {
      current_time: {
        description: 'The time in a zone.',
        parameters: { type: 'object', additionalProperties: false, properties: { zone: { type: 'string' } } },
        builtin: 'current_time',
        access: 'read',
      },
      calculate: {
        description: 'Calculates.',
        parameters: {
          type: 'object',
          additionalProperties: false,
          required: ['expression'],
          properties: { expression: { type: 'string' } },
        },
        builtin: 'calculate',
        access: 'read',
      },
    },
  }
}
