import { type Clock, systemClock } from '#platform/clock.ts'
import { freePort } from '../free-port.ts'
import { createEntity } from './entity.ts'
import { Answers, type Faults, noFaults } from './faults.ts'
import { BrokerServer } from './server.ts'

export interface BrokerOptions {
  /** Queues that there are; a link to another one is refused. */
  queues?: readonly string[]
  /** The broker's time: locks, schedules, the duplicate window. */
  clock?: Clock
  lockMs?: number
  duplicateWindowMs?: number
  maxDeliveries?: number
  maxMessageBytes?: number
}

/** A broker that speaks as much AMQP 1.0, CBS and `$management` as the client of Service Bus needs. */
export interface Broker extends AsyncDisposable {
  readonly port: number
  readonly connectionString: string
  /** What goes wrong from now on. */
  readonly faults: Faults
  /** Transfers, requests and settlements so far: what a tier is paid by. */
  readonly operations: Readonly<Record<Operation, number>>
  /** Messages of a queue by where they stand. */
  counts(queue: string): Record<'ready' | 'locked' | 'scheduled' | 'dead', number>
  /** Detaches every link of a queue; locks stay. */
  dropLinks(condition?: string): void
  /** Ends every connection; locks stay. */
  dropConnections(): void
  /** Every lock is lost, and the messages come back. */
  loseLocks(): void
  /** Links that are attached now stay so, but nothing is delivered through them any more. */
  deafen(): void
  /** Nobody listens any more; what it keeps, it keeps. */
  stop(): Promise<void>
  /** Again on the same port. */
  start(): Promise<void>
}

type Operation = 'sends' | 'deliveries' | 'settlements' | 'requests'

export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const { queues = ['parley'], clock = systemClock, lockMs = 30_000, duplicateWindowMs = 600_000 } = options
  const { maxDeliveries = 10, maxMessageBytes = 262_144 } = options
  const faults = noFaults()
  const answers = new Answers(faults)
  const operations = { sends: 0, deliveries: 0, settlements: 0, requests: 0 }
  const count = (operation: Operation) => {
    operations[operation] += 1
  }
  const settings = { clock, lockMs, duplicateWindowMs, maxDeliveries, faults, answers, count }
  const entities = new Map(queues.map((name) => [name, createEntity(settings)]))
  const launch = (port: number) => new BrokerServer({ entities, faults, answers, maxMessageBytes, count }, port)
  let server: BrokerServer | undefined = launch(await freePort())
  const port = await server.listening()
  const stop = async () => {
    await server?.close()
    server = undefined
  }
  return {
    port,
    connectionString: `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=test;SharedAccessKey=test;UseDevelopmentEmulator=true`,
    faults,
    operations,
    counts: (name) => {
      const entity = entities.get(name)
      if (!entity) throw new Error('no such queue')
      return { ...entity.main.queue.counts, dead: entity.dead.queue.counts.ready + entity.dead.queue.counts.locked }
    },
    dropLinks: (condition = 'amqp:link:detach-forced') => server?.dropLinks(condition),
    dropConnections: () => server?.dropConnections(),
    loseLocks: () => {
      for (const { main } of entities.values()) main.queue.releaseAll()
    },
    deafen: () => {
      faults.deafBefore = (server?.attached ?? 0) + 1
    },
    stop,
    start: async () => {
      server ??= launch(port)
      await server.listening()
    },
    [Symbol.asyncDispose]: async () => {
      answers.close()
      await stop()
      for (const { main, dead } of entities.values()) {
        main.queue.close()
        dead.queue.close()
      }
    },
  }
}
