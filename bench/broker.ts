/** The broker in a process of its own: `GET /` answers how to reach it and what was asked of it so far. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startBroker } from '../test/support/broker/broker.ts'

/** What `GET /` answers. */
export interface BrokerReport {
  connectionString: string
  operations: Record<'sends' | 'deliveries' | 'settlements' | 'requests', number>
}

const broker = await startBroker({ queues: ['parley-runs'] })
const { connectionString, operations } = broker
const server = createServer((_request, response) => {
  response.end(JSON.stringify({ connectionString, operations } satisfies BrokerReport))
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
process.once('SIGTERM', () => process.exit(0))
