import type { ActionSpec, OpenApiSpec } from '#config/action-spec.ts'
import type { ConfigDocument } from '#config/document.ts'
import type { Log } from '#log.ts'
import { CorrectableError, type Executor, type ExecutorContext, type ExecutorKind, PassingError } from '../executor.ts'
import { clearOf, documentOf, misfitsOf, type Permits } from './check.ts'
import { type Operation, operationHash, operationOf } from './operation.ts'
import { Unusable } from './references.ts'
import { type OperationRequest, requestOf } from './request.ts'

/**
 * Makes the call: adds what the run brings along (key, trace, token of the user for the scope `onBehalfOf`), awaits
 * `context.begin()`, holds it to what the environment permits, and answers or throws as executors do.
 */
export type Call = (
  request: OperationRequest,
  context: ExecutorContext,
  onBehalfOf: string | undefined,
) => Promise<unknown>

export interface OpenApiExecutorsOptions {
  log: Log
  permits: Permits
  call: Call
  /** Gets a document that is named by its address, as a JSON value. */
  fetchDocument: (url: string) => Promise<unknown>
}

/**
 * Actions that are operations of OpenAPI documents (3.0 and 3.1), picked by their `operationId`. A document at an address is
 * fetched once for each config version, when first needed; what it holds is checked then as that of a version is at its push.
 */
export function createOpenApiExecutors(options: OpenApiExecutorsOptions): ExecutorKind {
  const { log, permits, call, fetchDocument } = options
  const fetched = new WeakMap<OpenApiSpec, Promise<unknown>>()
  const operations = new WeakMap<ActionSpec, Operation | Refusal>()

  async function operationFor(name: string, action: ActionSpec, source: OpenApiSpec): Promise<Operation> {
    let found = operations.get(action)
    if (found === undefined) {
      const document = source.url === undefined ? source.document : await documentAt(source, source.url)
      found = usableOperation(action, { ...source, document }, permits)
      operations.set(action, found)
      if ('reason' in found)
        log.error({ action: name, operation: action.openapi?.operation, ...found }, 'OpenAPI operation disabled')
    }
    if (!('reason' in found)) return found
    const why =
      found.reason === 'tool_drifted'
        ? 'it has changed since it was reviewed'
        : 'its description does not fit the action'
    throw new CorrectableError(`This tool is disabled (${found.reason}): ${why}. Go on without it.`)
  }

  function documentAt(source: OpenApiSpec, url: string): Promise<unknown> {
    const known = fetched.get(source)
    if (known) return known
    const document = Promise.try(fetchDocument, url).catch((error: unknown) => {
      fetched.delete(source)
      if (error instanceof PassingError) throw error
      const message = 'The description of the tool is out of reach.'
      throw new PassingError(message, { reason: 'connect_failed', untouched: true, cause: error })
    })
    fetched.set(source, document)
    return document
  }

  function executorOf(config: ConfigDocument, name: string, action: ActionSpec): Executor | undefined {
    if (!action.openapi) return undefined
    const source = documentOf(config, action.openapi.document)
    if (!source) throw new Error('The config version names an OpenAPI document that does not exist.')
    return async (args, context) => {
      const operation = await operationFor(name, action, source)
      context.signal.throwIfAborted()
      return call(requestOf(operation, args), context, source.onBehalfOf)
    }
  }

  return { executorOf }
}

/** Why an operation is not called. */
interface Refusal {
  reason: 'tool_drifted' | 'tool_unusable'
  detail: string
}

function usableOperation(action: ActionSpec, source: OpenApiSpec, permits: Permits): Operation | Refusal {
  const { operation: id = '', pin } = action.openapi ?? {}
  try {
    const operation = operationOf(source, id)
    const hash = operationHash(operation)
    if (pin !== undefined && pin !== hash) return { reason: 'tool_drifted', detail: `its hash is ${hash}` }
    if (!permits(new URL(operation.base))) return { reason: 'tool_unusable', detail: 'its server is not permitted' }
    const inClear = clearOf(source, operation)
    if (inClear !== undefined) return { reason: 'tool_unusable', detail: inClear }
    const [misfit] = misfitsOf(operation, action.parameters)
    if (!misfit) return operation
    return { reason: 'tool_unusable', detail: `${misfit.path.join('.')} ${misfit.message}` }
  } catch (error) {
    if (!(error instanceof Unusable)) throw error
    return { reason: pin === undefined ? 'tool_unusable' : 'tool_drifted', detail: error.message }
  }
}
