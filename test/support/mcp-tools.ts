import { type CallToolResult, fromJsonSchema, McpServer, type ServerContext } from '@modelcontextprotocol/server'

export interface McpServerPlan {
  /** What `service_status` is described as. */
  description: string
  /** What became of the calls: `slow:began`, `slow:cancelled`, `echo:<key>`, … */
  note: (fact: string) => unknown
  /** What the tool that dies does. */
  die: () => void
}

const SERVICES: Readonly<Record<string, string>> = { desk: 'up', mail: 'degraded', vpn: 'down' }
export const STATUS_DESCRIPTION = 'How a service of the company is doing.'

export function buildServer(plan: McpServerPlan): McpServer {
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
  server.registerTool('die', { description: 'Ends the server.', inputSchema: schema({}) }, () => {
    note('die:began')
    die()
    return new Promise<CallToolResult>(() => {})
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
    // A cancellation may never arrive; that must not keep a process.
    timer.unref()
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
