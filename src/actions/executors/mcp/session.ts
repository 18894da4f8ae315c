import { Client, type JsonSchemaValidatorResult } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { HttpTransport } from './http-transport.ts'
import { LastWords } from './last-words.ts'
import type { Target } from './permitted.ts'
import { type ToolResult, tooLarge } from './result.ts'
import { toolHash } from './tool-hash.ts'

/** The JSON text of a message may be several times as long as the answer in it, which is there twice, with escapes. */
const MAX_MESSAGE_BYTES = 4_194_304
const OPEN_TIMEOUT_MS = 10_000
/** After so long without an answer a server over stdio is taken to be one that knows earlier revisions only. */
const STDIO_PROBE_TIMEOUT_MS = 5000
const LIST_TIMEOUT_MS = 10_000
/** The action's own time limit counts, by way of the signal; this is the longest that a timer can be. */
const NO_TIMEOUT_MS = 2_147_483_647

export interface SessionOptions {
  target: Target
  fetch: typeof fetch
  token: () => string | undefined
  now: () => number
  /** The server has ended, or cut us off. */
  onEnd: () => void
  onToolsChanged: () => void
}

export interface ToolCall {
  tool: string
  args: Readonly<Record<string, unknown>>
  key: string
  traceparent: string | undefined
  signal: AbortSignal
}

/** One connection to a server, or one run of it. Rejects with whatever the SDK does: see `failureOf`. */
export interface Session {
  /** The hashes of its tools, by name. */
  tools(): Promise<ReadonlyMap<string, string>>
  /** When the signal aborts the server is told so, and the result is no longer waited for. */
  call(call: ToolCall): Promise<ToolResult>
  close(): Promise<void>
}

/** Where a server failed to start, what it said on its way out. */
export class StartFailure extends Error {
  override readonly name = 'StartFailure'
  readonly lastWords: string

  constructor(cause: unknown, lastWords: string) {
    super('The MCP server could not be started.', { cause })
    this.lastWords = lastWords
  }
}

/**
 * Speaks the newest revision of the protocol that the server knows, 2026-07-28 or one with a handshake. What the server asks
 * of its client (input, sampling, roots) is refused.
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { target, onEnd, onToolsChanged } = options
  const client = new Client(
    { name: 'parley', version: '1' },
    {
      versionNegotiation: {
        mode: 'auto',
        probe: { timeoutMs: 'url' in target ? OPEN_TIMEOUT_MS : STDIO_PROBE_TIMEOUT_MS },
      },
      inputRequired: { autoFulfill: false },
      listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: onToolsChanged } },
      // What a tool answers is data for a model. A stranger's schema is not compiled for it.
      jsonSchemaValidator: { getValidator: () => unchecked },
    },
  )
  client.onclose = onEnd
  const lastWords = new LastWords()
  const transport = 'url' in target ? httpTransport(target.url, options) : stdioTransport(target.command, lastWords)
  try {
    await client.connect(transport, { timeout: OPEN_TIMEOUT_MS })
  } catch (error) {
    await client.close()
    throw 'url' in target ? error : new StartFailure(error, lastWords.end())
  }
  lastWords.end()
  const call = callsOf(client)
  return { tools: () => toolsOf(client), call, close: () => client.close() }
}

function httpTransport(url: URL, options: SessionOptions): HttpTransport {
  const { fetch, token, now } = options
  return new HttpTransport({ url, fetch, token, now, maxMessageBytes: MAX_MESSAGE_BYTES })
}

/** It inherits PATH, HOME and the like, and none of our secrets. */
function stdioTransport([command = '', ...args]: readonly string[], lastWords: LastWords): StdioClientTransport {
  const transport = new StdioClientTransport({ command, args, stderr: 'pipe', maxBufferSize: MAX_MESSAGE_BYTES })
  transport.stderr?.on('data', (chunk: Buffer) => lastWords.hear(chunk))
  return transport
}

async function toolsOf(client: Client): Promise<ReadonlyMap<string, string>> {
  // The SDK would say so on the console.
  if (!client.getServerCapabilities()?.tools) return new Map()
  const { tools } = await client.listTools(undefined, { cacheMode: 'refresh', timeout: LIST_TIMEOUT_MS })
  return new Map(tools.map((tool) => [tool.name, toolHash(tool)]))
}

/** Over stdio an answer that is far too long ends the connection. Where one call alone can have been answered, that is told. */
function callsOf(client: Client): Session['call'] {
  let calls = 0
  let tooLong = false
  client.onerror = ({ message }) => {
    if (message.startsWith('ReadBuffer exceeded')) tooLong = calls === 1
  }
  return async (call) => {
    calls += 1
    try {
      return await callTool(client, call)
    } catch (error) {
      throw tooLong && !call.signal.aborted ? tooLarge() : error
    } finally {
      calls -= 1
    }
  }
}

function callTool(client: Client, { tool, args, key, traceparent, signal }: ToolCall): Promise<ToolResult> {
  const trace: Record<string, string> = traceparent === undefined ? {} : { traceparent }
  return client.callTool(
    { name: tool, arguments: { ...args }, _meta: { ...trace, 'parley/idempotency-key': key } },
    { signal, timeout: NO_TIMEOUT_MS, headers: { ...trace, 'idempotency-key': key } },
  )
}

function unchecked<T>(input: unknown): JsonSchemaValidatorResult<T> {
  return { valid: true, data: input as T, errorMessage: undefined }
}
