import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Egress } from '#platform/egress/egress.ts'
import { createBuiltinExecutors } from './builtin/registry.ts'
import { type Executor, type Executors, PassingError } from './executor.ts'
import { createExecutors } from './executors.ts'
import { createHttpExecutors } from './http/http.ts'
import { createHttpCall } from './http/http-call.ts'
import { createMcpExecutors } from './mcp/mcp.ts'
import { createOpenApiExecutors } from './openapi/openapi.ts'

export interface ExecutorsOptions {
  /** Functions of this codebase, by the name that a config version gives as `builtin`. */
  functions: ReadonlyMap<string, Executor>
  /** The way out of the process, and the same for those who need streams. */
  egress: Egress
  fetch: typeof fetch
  /** Commands that may be started, word by word. */
  mcpCommands: readonly (readonly string[])[]
  clock: Clock
  log: Log
}

const DOCUMENT_BYTES = 4 * 1024 * 1024
const DOCUMENT_MS = 30_000
const OPERATION = { effect: true, dryRun: false, timeoutMs: 600_000, maxResponseBytes: 262_144 } as const

/** All ways in which actions are done. */
export function openExecutors(options: ExecutorsOptions): Executors {
  const { functions, egress, fetch, mcpCommands: commands, clock, log } = options
  const { permits } = egress
  const call = createHttpCall(egress, clock, log)

  async function fetchDocument(url: string): Promise<unknown> {
    const answer = await egress.request({
      method: 'GET',
      url: new URL(url),
      headers: { accept: 'application/json', 'user-agent': 'parley' },
      signal: new AbortController().signal,
      timeouts: { connectMs: DOCUMENT_MS, totalMs: DOCUMENT_MS },
      maxResponseBytes: DOCUMENT_BYTES,
    })
    if (answer.status === 200) return JSON.parse(answer.body.toString())
    throw new PassingError('The description of the tool cannot be had.', { reason: 'server_error', untouched: true })
  }

  return createExecutors([
    createBuiltinExecutors(functions),
    createHttpExecutors(call),
    createMcpExecutors({ permits, commands, fetch, clock, log }),
    createOpenApiExecutors({
      log,
      permits,
      fetchDocument,
      call: ({ url, ...request }, context, onBehalfOf) =>
        call({ ...OPERATION, ...request, url: new URL(url), onBehalfOf }, context),
    }),
  ])
}
