import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { ServiceBusQueue } from '#platform/queue/service-bus.ts'
import { type Broker, type BrokerOptions, startBroker } from '../../support/broker/broker.ts'

export interface Faulty extends AsyncDisposable {
  broker: Broker
  queue: ServiceBusQueue
}

interface FaultyOptions extends BrokerOptions {
  operationTimeoutMs?: number
  watchMs?: number
  /** How long it is waited for at first. */
  patienceMs?: number
}

const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }

/** A queue on a broker that is about to fail, in real time. */
export async function faulty(options: FaultyOptions = {}): Promise<Faulty> {
  const { operationTimeoutMs = 8000, watchMs = 60_000, patienceMs = 5000, ...ofBroker } = options
  const broker = await startBroker(ofBroker)
  const queue = openOn(broker.connectionString, { operationTimeoutMs, watchMs })
  await queue.connect(patienceMs)
  return {
    broker,
    queue,
    [Symbol.asyncDispose]: async () => {
      await queue.close()
      await broker[Symbol.asyncDispose]()
    },
  }
}

export function openOn(connectionString: string, limits: { operationTimeoutMs: number; watchMs: number }) {
  const address = { queue: 'parley', connectionString, tokens }
  return new ServiceBusQueue({ address, clock: systemClock, log: createLog('silent'), ...limits })
}
