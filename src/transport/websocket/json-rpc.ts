/** JSON-RPC 2.0 (https://www.jsonrpc.org/specification) as text: calls in, responses and notifications out. */

export type CallId = string | number | null

export interface Call {
  /** Undefined for a notification, which is never answered. */
  id: CallId | undefined
  method: string
  /** Parameters go by name; an empty object when none are given. */
  params: object
}

/** What cannot be called, and why. */
export interface Refusal {
  id: CallId
  error: RpcError
}

export interface RpcError {
  code: number
  message: string
  data?: object
}

export interface Frame {
  /** To be answered with an array. */
  batch: boolean
  calls: (Call | Refusal)[]
}

export const rpcCodes = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  /** What the catalogue of errors names; `data.code` says which. */
  parleyError: -32000,
} as const

export function readFrame(text: string, callsPerBatch: number): Frame {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return refused({ code: rpcCodes.parseError, message: 'Parse error' })
  }
  if (!Array.isArray(value)) return { batch: false, calls: [readCall(value)] }
  if (value.length === 0) return refused(invalid('an empty batch'))
  if (value.length > callsPerBatch) return refused(invalid(`a batch holds at most ${callsPerBatch} calls`))
  return { batch: true, calls: value.map(readCall) }
}

export function isRefusal(call: Call | Refusal): call is Refusal {
  return 'error' in call
}

export function renderResult(id: CallId, result: unknown): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${JSON.stringify(result)}}`
}

export function renderError(id: CallId, error: RpcError): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":${JSON.stringify(error)}}`
}

/** `params` is JSON already. */
export function renderNotification(method: string, params: string): string {
  return `{"jsonrpc":"2.0","method":"${method}","params":${params}}`
}

function readCall(value: unknown): Call | Refusal {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { id: null, error: invalid('a call is an object') }
  }
  const { jsonrpc, id, method, params = {} } = value as Record<string, unknown>
  if (id !== undefined && !isCallId(id)) {
    return { id: null, error: invalid('`id` has to be a string, a number or null') }
  }
  const refuse = (error: RpcError): Refusal => ({ id: id ?? null, error })
  if (jsonrpc !== '2.0') return refuse(invalid('`jsonrpc` has to be "2.0"'))
  if (typeof method !== 'string') return refuse(invalid('`method` has to be a string'))
  if (typeof params !== 'object' || params === null) return refuse(invalid('`params` has to be an object'))
  return { id, method, params }
}

function isCallId(id: unknown): id is CallId {
  return typeof id === 'string' || id === null || Number.isFinite(id)
}

function invalid(why: string): RpcError {
  return { code: rpcCodes.invalidRequest, message: `Invalid Request: ${why}.` }
}

function refused(error: RpcError): Frame {
  return { batch: false, calls: [{ id: null, error }] }
}
