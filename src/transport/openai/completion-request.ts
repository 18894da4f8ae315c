import type { Addressed, Addressee } from '#chat/chat.ts'
import { ParleyError } from '#errors.ts'
import type { ChatMessage } from '#models/answer.ts'
import type { CompletionRequest } from './schema.ts'

/** A chat completion as it is asked for. */
export interface Asked {
  to: Addressed
  messages: readonly ChatMessage[]
  /** All that is the provider's business. */
  parameters: Readonly<Record<string, unknown>>
  stream: boolean
  includeUsage: boolean
}

/** What to use in place of parameters that OpenAI itself has given up. */
const OUTDATED = { functions: 'tools', function_call: 'tool_choice' }

/** Reads a body that has the shape. Throws what `address` throws, invalid_request, unsupported_parameter. */
export function readRequest(address: (model: string) => Addressed, body: CompletionRequest): Asked {
  const { model, messages, stream, stream_options: streamOptions, ...parameters } = body
  for (const [name, instead] of Object.entries(OUTDATED)) {
    if (name in parameters) throw unsupported(name, `use \`${instead}\``)
  }
  if (body.n != null && body.n !== 1) throw unsupported('n', 'ask as often as you want answers')
  const to = address(model)
  messages.forEach(checkMessage)
  if (to.opensTurn) checkForTurn(to, parameters)
  return {
    to,
    messages: messages as readonly ChatMessage[],
    parameters,
    stream: stream === true,
    includeUsage: streamOptions?.include_usage === true,
  }
}

function checkMessage(
  { role, content, tool_call_id: callId }: CompletionRequest['messages'][number],
  at: number,
): void {
  if (content == null && role !== 'assistant') throw missing(`messages.${at}.content`)
  if (role === 'tool' && !callId) throw missing(`messages.${at}.tool_call_id`)
}

/** A turn reads what its models say, so it takes only what it can hand on; and every call must have one addressee. */
function checkForTurn({ name, actions }: Addressee, parameters: Omit<CompletionRequest, 'model' | 'messages'>): void {
  if (parameters.logprobs === true) throw unsupported('logprobs', `\`${name}\` may call actions, and answers in text`)
  for (const [at, tool] of (parameters.tools ?? []).entries()) {
    const param = `tools.${at}`
    if (tool.type !== 'function') throw unsupported(param, `\`${name}\` may call actions, and takes functions only`)
    const called = (tool.function as { name?: unknown } | null | undefined)?.name
    if (typeof called !== 'string') throw missing(`${param}.function.name`)
    if (actions.includes(called)) {
      const message = `\`${called}\` is an action of \`${name}\`; give the tool another name.`
      throw new ParleyError('invalid_request', { message, param: `${param}.function.name` })
    }
  }
}

function missing(param: string): ParleyError {
  return new ParleyError('invalid_request', { message: `\`${param}\` is missing.`, param })
}

function unsupported(param: string, hint: string): ParleyError {
  return new ParleyError('unsupported_parameter', { message: `\`${param}\` is not supported; ${hint}.`, param })
}
