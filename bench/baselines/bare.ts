/** The least that a pass-through can do: node:http in, node:http out, bytes as they come. What every ratio is taken to. */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const upstream = new URL(process.argv[2] ?? '')
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, maxFreeSockets: 4096 })

function pass(incoming: IncomingMessage, outgoing: ServerResponse, body: Buffer): void {
  const call = request({
    agent,
    host: upstream.hostname,
    port: upstream.port,
    path: incoming.url,
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-length': body.length },
  })
  call.on('response', (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, { 'content-type': answer.headers['content-type'] })
    answer.on('data', (bytes) => {
      if (outgoing.write(bytes)) return
      answer.pause()
      outgoing.once('drain', () => answer.resume())
    })
    answer.on('end', () => outgoing.end())
    answer.on('error', () => outgoing.destroy())
  })
  call.on('error', () => outgoing.destroy())
  outgoing.on('close', () => {
    if (!outgoing.writableFinished) call.destroy()
  })
  call.end(body)
}

const server = createServer((incoming, outgoing) => {
  const parts: Buffer[] = []
  incoming.on('data', (part: Buffer) => parts.push(part))
  incoming.on('end', () => pass(incoming, outgoing, Buffer.concat(parts)))
})
server.keepAliveTimeout = 65_000
server.listen(0, '127.0.0.1', 4096, () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
process.once('SIGTERM', () => process.exit())
process.once('disconnect', () => process.exit())
