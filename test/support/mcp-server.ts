/**
 * An MCP server for tests and demonstrations, on the official SDK: over stdio when started as a program, over streamable HTTP
 * from `startMcpServer`. Both serve the newest revision of the protocol and those with a handshake.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { toNodeHandler } from '@modelcontextprotocol/node'
import {
  type CallToolResult,
  createMcpHandler,
  fromJsonSchema,
  McpServer,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'

export interface McpServerPlan {
  /** What `service_status` is described as. */
  description: string
  /** What became of the calls: `slow:began`, `slow:cancelled`, `echo:<key>`, … */
  note: (fact: string) => unknown
  /** What the tool that dies does. */
  die: () => void
}

const SERVICES: Readonly<Record<string, string>> = { desk: 'up', mail: 'degraded', vpn: 'down' }
const STATUS_DESCRIPTION = 'How a service of the company is doing.'

function buildServer(plan: McpServerPlan): McpServer {
  const { note, die } = plan
  const server = new McpServer(
    { name: 'parley-demo', version: '1.0.0' },
    { capabilities: { tools: { listChanged: true } } },
  )
  const status = server.registerTool(
    'service_status',
    {
      description: plan.description,
      annotations: { readOnlyHint: true },
      inputSchema: schema({ service: { type: 'string', enum: Object.keys(SERVICES) } }, ['service']),
      outputSchema: schema({ service: { type: 'string' }, status: { type: 'string' } }, ['service', 'status']),
    },
    ({ service }) => {
      const structuredContent = { service, status: SERVICES[String(service)] }
      return { content: [{ type: 'text', text: JSON.stringify(structuredContent) }], structuredContent }
    },
  )
  server.registerTool(
    'echo',
    { description: 'Says what it was told.', inputSchema: schema({ text: { type: 'string' } }, ['text']) },
    ({ text }, { mcpReq }) => {
      note(`echo:${JSON.stringify(mcpReq._meta ?? {})}`)
      return said(String(text))
    },
  )
  server.registerTool(
    'large',
    { description: 'Says as much as one likes.', inputSchema: schema({ length: { type: 'integer' } }, ['length']) },
    ({ length }) => said('x'.repeat(Number(length))),
  )
  server.registerTool('fail', { description: 'Always fails.', inputSchema: schema({}) }, () => {
    return { ...said('The ledger is closed on Sundays.'), isError: true }
  })
  server.registerTool(
    'slow',
    {
      description: 'Takes its time.',
      inputSchema: schema({ ms: { type: 'integer' }, steps: { type: 'integer' } }, ['ms']),
    },
    async ({ ms, steps }, context) => {
      note('slow:began')
      const done = await stepsTaken(Number(ms), Number(steps ?? 1), context)
      if (!done) note('slow:cancelled')
      return said(done ? 'done' : 'cancelled')
    },
  )
  server.registerTool('die', { description: 'Ends the server.', inputSchema: schema({}) }, async (_, context) => {
    note('die:began')
    die()
    await stepsTaken(60_000, 1, context)
    return said('still here')
  })
  server.registerTool(
    'redescribe',
    { description: 'Changes a tool.', inputSchema: schema({ description: { type: 'string' } }, ['description']) },
    ({ description }) => {
      plan.description = String(description)
      status.update({ description: plan.description })
      return said('changed')
    },
  )
  return server
}

/** False when the call was cancelled meanwhile. */
function stepsTaken(ms: number, steps: number, { mcpReq }: ServerContext): Promise<boolean> {
  const { signal, _meta } = mcpReq
  const progressToken = _meta?.progressToken
  return new Promise((resolve) => {
    let taken = 0
    const timer = setInterval(() => {
      taken += 1
      if (progressToken !== undefined) {
        const params = { progressToken, progress: taken, total: steps }
        mcpReq.notify({ method: 'notifications/progress', params }).catch(() => {})
      }
      if (taken >= steps) end(true)
    }, ms / steps)
    const onAbort = () => end(false)
    const end = (done: boolean) => {
      clearInterval(timer)
      signal.removeEventListener('abort', onAbort)
      resolve(done)
    }
    if (signal.aborted) end(false)
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}

function said(text: string): CallToolResult {
  return { content: [{ type: 'text', text }] }
}

function schema(properties: Record<string, { type: 'string' | 'integer'; enum?: string[] }>, required: string[] = []) {
  return fromJsonSchema<Record<string, unknown>>({ type: 'object', properties, required, additionalProperties: false })
}

export interface HttpMcpServer {
  url: string
  /** Facts noted by its tools, in order. */
  facts: string[]
  /** Headers of all requests, in order. */
  headers: Record<string, string | string[] | undefined>[]
  plan: McpServerPlan
  /** Tells clients that its tools have changed. */
  toolsChanged(): void
  /** Answers so many requests that call a tool with this status, and nothing else. */
  refuse(status: number, headers?: Record<string, string>): void
  /** Cuts all connections. */
  drop(): void
  close(): Promise<void>
}

/** On a port of its own, or the given one. */
export async function startMcpServer({
  port = 0,
  revisions = 'all',
}: {
  port?: number
  revisions?: 'all' | 'newest'
} = {}): Promise<HttpMcpServer> {
  const facts: string[] = []
  const headers: HttpMcpServer['headers'] = []
  const refusals: { status: number; headers: Record<string, string> }[] = []
  const plan: McpServerPlan = { description: STATUS_DESCRIPTION, note: (fact) => facts.push(fact), die: () => drop() }
  const handler = createMcpHandler(() => buildServer(plan), { legacy: revisions === 'all' ? 'stateless' : 'reject' })
  const serve = toNodeHandler(handler)
  const server: Server = createServer(async (request, response) => {
    headers.push(request.headers)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString())
    const refusal = body?.method === 'tools/call' ? refusals.shift() : undefined
    if (refusal) return response.writeHead(refusal.status, refusal.headers).end()
    return serve(request, response, body)
  })
  const drop = () => server.closeAllConnections()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    facts,
    headers,
    plan,
    toolsChanged: () => handler.notify.toolsChanged(),
    refuse: (status, more = {}) => refusals.push({ status, headers: more }),
    drop,
    close: async () => {
      await handler.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/**
 * As a program: `node test/support/mcp-server.ts [folder]`. Of the folder it reads `description`, where there is one, at its
 * start, and appends to `facts`, a line each.
 */
if (import.meta.main) {
  const folder = process.argv[2]
  const given = folder && existsSync(join(folder, 'description')) && readFileSync(join(folder, 'description'), 'utf8')
  const note = (fact: string) => folder && appendFileSync(join(folder, 'facts'), `${fact}\n`)
  serveStdio(() => buildServer({ description: given || STATUS_DESCRIPTION, note, die: () => process.exit(1) }))
}
