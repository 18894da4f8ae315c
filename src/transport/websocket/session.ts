import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { CallAllowance } from './call-allowance.ts'
import { callError } from './call-error.ts'
import type { Connection } from './connection.ts'
import { type Call, isRefusal, type Refusal, readFrame, renderError, renderResult, rpcCodes } from './json-rpc.ts'
import type { Methods } from './methods.ts'

export interface SessionOptions {
  connection: Connection
  allowance: CallAllowance
  methods: Methods
  callsPerBatch: number
  log: Log
}

/** JSON-RPC on one connection: a message in, its answer out. */
export function createSession({ connection, allowance, methods, callsPerBatch, log }: SessionOptions) {
  /** Answers all calls of a message; what follows from them goes out after the answer. */
  async function receive(text: string): Promise<void> {
    const { batch, calls } = readFrame(text, callsPerBatch)
    const verdicts = calls.map(() => allowance.take())
    if (verdicts.includes('exhausted')) return connection.close('too many calls')
    const served = await Promise.all(
      calls.map((call, index) => (verdicts[index] === 'refused' ? refuse(call) : serve(call))),
    )
    const answers = served.flatMap(({ answer }) => answer ?? [])
    if (answers.length > 0) connection.send(batch ? `[${answers.join(',')}]` : answers.join())
    for (const { afterwards } of served) afterwards?.()
  }

  async function serve(call: Call | Refusal): Promise<Served> {
    if (isRefusal(call)) return { answer: renderError(call.id, call.error) }
    const { id, method, params } = call
    try {
      const run = Object.hasOwn(methods, method) ? methods[method] : undefined
      if (!run)
        return answered(id, (known) =>
          renderError(known, { code: rpcCodes.methodNotFound, message: 'Method not found' }),
        )
      if (Array.isArray(params)) throw new ParleyError('invalid_request', { message: 'Parameters go by name here.' })
      const { result, afterwards } = await run(params)
      return { ...answered(id, (known) => renderResult(known, result)), ...(afterwards && { afterwards }) }
    } catch (error) {
      const fault = callError(error, log, method)
      return answered(id, (known) => renderError(known, fault))
    }
  }

  function refuse({ id }: Call | Refusal): Served {
    const fault = new ParleyError('rate_limited', { retryAfterMs: allowance.retryAfterMs })
    return answered(id, (known) => renderError(known, callError(fault, log, '')))
  }

  return { receive }
}

interface Served {
  answer?: string
  afterwards?: () => void
}

/** Notifications get no answer. */
function answered(id: Call['id'], render: (id: Exclude<Call['id'], undefined>) => string): Served {
  return id === undefined ? {} : { answer: render(id) }
}
