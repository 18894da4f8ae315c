/**
 * An MCP server for tests and demonstrations, on the official SDK: over stdio when started as a program, over streamable HTTP
 * from `startMcpServer`. Both serve the newest revision of the protocol and those with a handshake.
 */
import { randomUUID } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler } from '@modelcontextprotocol/server'
import { StdioServerTransport, serveStdio } from '@modelcontextprotocol/server/stdio'
import { keepAliveTimeout } from './keep-alive.ts'
import { buildServer, type McpServerPlan, STATUS_DESCRIPTION } from './mcp-tools.ts'

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
  /** Knows no session any more, as after a restart. */
  forget(): void
  close(): Promise<void>
}

export interface HttpMcpServerOptions {
  /** `all`, or only those with a handshake and sessions, as before 2026-07-28. */
  revisions?: 'all' | 'handshake'
  /** Answers of tools come as a stream of events, also when there is but one. */
  streaming?: boolean
}

/** On a port of its own. */
export async function startMcpServer(options: HttpMcpServerOptions = {}): Promise<HttpMcpServer> {
  const facts: string[] = []
  const headers: HttpMcpServer['headers'] = []
  const refusals: { status: number; headers: Record<string, string> }[] = []
  const sessions = new Map<string, NodeStreamableHTTPServerTransport>()
  const drop = () => server.closeAllConnections()
  const plan: McpServerPlan = { description: STATUS_DESCRIPTION, note: (fact) => facts.push(fact), die: drop }
  const responseMode = options.streaming ? 'sse' : 'auto'
  const handler = createMcpHandler(() => buildServer(plan), { responseMode })
  const serve = options.revisions === 'handshake' ? serveSessions(plan, sessions) : toNodeHandler(handler)
  const server = createServer({ keepAliveTimeout }, async (request, response) => {
    headers.push(request.headers)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString())
    const refusal = body?.method === 'tools/call' ? refusals.shift() : undefined
    if (refusal) return response.writeHead(refusal.status, refusal.headers).end()
    return serve(request, response, body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    facts,
    headers,
    plan,
    toolsChanged: () => handler.notify.toolsChanged(),
    refuse: (status, more = {}) => refusals.push({ status, headers: more }),
    drop,
    forget: () => sessions.clear(),
    close: async () => {
      await handler.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A session per handshake, in memory. */
function serveSessions(plan: McpServerPlan, sessions: Map<string, NodeStreamableHTTPServerTransport>) {
  return async (request: IncomingMessage, response: ServerResponse, body: unknown) => {
    const id = request.headers['mcp-session-id']
    const known = typeof id === 'string' ? sessions.get(id) : undefined
    if (known) return known.handleRequest(request, response, body)
    if (id !== undefined) return response.writeHead(404).end()
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (session) => void sessions.set(session, transport),
    })
    await buildServer(plan).connect(transport)
    return transport.handleRequest(request, response, body)
  }
}

/**
 * As a program: `node test/support/mcp-server.ts [folder] [handshake]`. Of the folder it reads `description`, where there is
 * one, at its start, and appends to `facts`, a line each. With `handshake` it knows no revision since 2026-07-28.
 */
if (import.meta.main) {
  const [, , folder, revisions] = process.argv
  const given = folder && existsSync(join(folder, 'description')) && readFileSync(join(folder, 'description'), 'utf8')
  const note = (fact: string) => folder && appendFileSync(join(folder, 'facts'), `${fact}\n`)
  const plan: McpServerPlan = { description: given || STATUS_DESCRIPTION, note, die: () => process.exit(1) }
  if (revisions === 'handshake') await buildServer(plan).connect(new StdioServerTransport())
  else serveStdio(() => buildServer(plan))
}
