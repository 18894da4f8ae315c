import { createLog } from '#log.ts'
import { type Clock, systemClock } from '#platform/clock.ts'
import { ServiceBusQueue } from '#platform/queue/service-bus.ts'
import { type Broker, type BrokerOptions, startBroker } from '../../support/broker/broker.ts'
import type { ManualClock } from '../../support/clock.ts'

export interface Faulty extends AsyncDisposable {
  broker: Broker
  queue: ServiceBusQueue
}

interface FaultyOptions extends BrokerOptions {
  clock?: ManualClock
  operationTimeoutMs?: number
  watchMs?: number
  /** How long it is waited for at first. */
  patienceMs?: number
}

const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }

/** A queue on a broker that is about to fail, both by the clock that is named, or else in real time. */
export async function faulty(options: FaultyOptions = {}): Promise<Faulty> {
  const { operationTimeoutMs = 8000, watchMs = 60_000, patienceMs = 60_000, ...ofBroker } = options
  const broker = await startBroker(ofBroker)
  const { clock } = ofBroker
  const queue = openOn(broker.connectionString, { operationTimeoutMs, watchMs, ...(clock && { clock }) })
  await queue.connect(patienceMs)
  return {
    broker,
    queue,
    [Symbol.asyncDispose]: async () => {
      const turning = clock && setInterval(() => clock.advance(100), 10)
      await queue.close()
      clearInterval(turning)
      await broker[Symbol.asyncDispose]()
    },
  }
}

interface OpenOptions {
  operationTimeoutMs: number
  watchMs: number
  clock?: Clock
}

export function openOn(connectionString: string, options: OpenOptions) {
  const address = { queue: 'parley', connectionString, tokens }
  return new ServiceBusQueue({ address, clock: systemClock, log: createLog('silent'), ...options })
}
