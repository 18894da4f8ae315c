/**
 * A Model Context Protocol server on the official SDK, for config-versions/examples/tools.yaml. Parley starts it and speaks to
 * it over stdio; nothing else needs to be started.
 */
import { fromJsonSchema, McpServer } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'

const ARTICLES = {
  vpn: 'Restart the client. If that does not help, renew the certificate at https://certificates.internal.example.',
  printer: 'Printers are emptied at seven. A paper jam is cleared from behind.',
}

function buildServer() {
  const server = new McpServer({ name: 'handbook', version: '1.0.0' })
  server.registerTool(
    'look_up',
    {
      description: 'What the handbook says about a topic.',
      annotations: { readOnlyHint: true },
      inputSchema: fromJsonSchema({
        type: 'object',
        required: ['topic'],
        additionalProperties: false,
        properties: { topic: { type: 'string', enum: Object.keys(ARTICLES) } },
      }),
    },
    ({ topic }) => ({ content: [{ type: 'text', text: ARTICLES[topic] }] }),
  )
  return server
}

serveStdio(buildServer)
