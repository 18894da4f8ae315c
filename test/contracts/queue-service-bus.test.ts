import { randomUUID } from 'node:crypto'
import { ServiceBusAdministrationClient } from '@azure/service-bus'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { ServiceBusQueue } from '#platform/queue/service-bus.ts'
import { startBroker } from '../support/broker/broker.ts'
import { manualClock } from '../support/clock.ts'
import { duplicateWindowMs, lockMs, maxDeliveries, type QueueUnderTest } from './queue/under-test.ts'
import { queueContract } from './queue.ts'

const log = createLog('silent')
const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }

queueContract('Service Bus, with a broker of our own', async (): Promise<QueueUnderTest> => {
  const clock = manualClock()
  const broker = await startBroker({ queues: ['parley'], clock, lockMs, duplicateWindowMs, maxDeliveries })
  const address = { queue: 'parley', connectionString: broker.connectionString, tokens }
  // The clock is turned by minutes at a time: nothing that takes so long has failed.
  const queue = new ServiceBusQueue({ address, clock, log, operationTimeoutMs: 3_600_000 })
  await queue.connect(10_000)
  return {
    queue,
    now: clock.now,
    pass: async (ms) => {
      // Step by step, so that renewals reach the broker in time.
      for (let leftMs = ms; leftMs > 0; leftMs -= 5000) {
        clock.advance(Math.min(leftMs, 5000))
        // What that set off, renewals and deliveries, is through before what is asked after it.
        await queue.deadLetters(1)
        await queue.deadLetters(1)
      }
    },
    [Symbol.asyncDispose]: async () => {
      const turning = setInterval(() => clock.advance(100), 10)
      await queue.close()
      clearInterval(turning)
      await broker[Symbol.asyncDispose]()
    },
  }
})

const real = process.env.SERVICE_BUS_CONNECTION_STRING
queueContract('Service Bus', () => onNamespace(real ?? ''), {
  all: real ? false : 'SERVICE_BUS_CONNECTION_STRING names no namespace',
  slow: 'it takes minutes of real time',
})

async function onNamespace(connectionString: string): Promise<QueueUnderTest> {
  const administration = new ServiceBusAdministrationClient(connectionString)
  const name = `parley-test-${randomUUID()}`
  await administration.createQueue(name, {
    lockDuration: `PT${lockMs / 1000}S`,
    maxDeliveryCount: maxDeliveries,
    requiresDuplicateDetection: true,
    duplicateDetectionHistoryTimeWindow: `PT${duplicateWindowMs / 60_000}M`,
  })
  const address = { queue: name, connectionString, tokens }
  const queue = new ServiceBusQueue({ address, clock: systemClock, log })
  await queue.connect(10_000)
  return {
    queue,
    now: () => Date.now(),
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    [Symbol.asyncDispose]: async () => {
      await queue.close()
      await administration.deleteQueue(name)
    },
  }
}
