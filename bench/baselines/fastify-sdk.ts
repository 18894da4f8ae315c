/** What one would write first: Fastify and the `openai` SDK, each chunk parsed by the one and stringified for the other. */
import fastify from 'fastify'
import { OpenAI } from 'openai'

const client = new OpenAI({ apiKey: 'bench', baseURL: `${process.argv[2]}/v1`, maxRetries: 0 })
const server = fastify({ keepAliveTimeout: 65_000 })

server.post<{ Body: OpenAI.ChatCompletionCreateParamsStreaming }>('/v1/chat/completions', async (request, reply) => {
  const chunks = await client.chat.completions.create(request.body)
  reply.hijack()
  reply.raw.on('close', () => chunks.controller.abort())
  reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
  for await (const chunk of chunks) reply.raw.write(`data: ${JSON.stringify(chunk)}\n\n`)
  reply.raw.end('data: [DONE]\n\n')
})

console.log(await server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }))
process.once('SIGTERM', () => process.exit())
process.once('disconnect', () => process.exit())
