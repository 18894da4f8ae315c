import type { ServiceBusClient, ServiceBusReceiver, ServiceBusSender } from '@azure/service-bus'
import type { TokenSource } from '../credential.ts'
import { endReplacedSockets } from './service-bus-socket.ts'

export interface Address {
  queue: string
  /** Either this, as it is when a client is made … */
  readonly connectionString?: string | undefined
  /** … or this: `name.servicebus.windows.net`, with tokens of ours. */
  namespace?: string | undefined
  tokens: TokenSource
}

/** One client of Service Bus, with what we use of it; replaced as a whole when the broker was out of reach. */
export interface Session {
  client: ServiceBusClient
  sender: ServiceBusSender
  /** Asks and settles; receives nothing itself. */
  receiver: ServiceBusReceiver
  /** The same for dead letters. */
  deadLetters: ServiceBusReceiver
  /** What was asked and not answered, each with how to give up waiting for it. */
  underWay: Map<Promise<unknown>, (reason: unknown) => void>
  isGivenUp: boolean
  /** Nothing that was asked is waited for any more. */
  giveUp(reason: unknown): void
}

/** Our own renewal ends with the delivery; the client's would go on for messages that it has forgotten. */
export const receiverOptions = { skipParsingBodyAsJson: true, maxAutoLockRenewalDurationInMs: 0 }

/** For what the client does by itself; what we ask of it has a limit of its own. */
const clientTimeoutMs = 5000

/** Retries are ours: those of the client would make every failure as long as all of them together. */
export async function openSession(address: Address): Promise<Session> {
  // Loading the package takes a few hundred ms, which a process without Azure should not pay.
  const { ServiceBusClient } = await import('@azure/service-bus')
  const options = { retryOptions: { maxRetries: 0, retryDelayInMs: 500, timeoutInMs: clientTimeoutMs } }
  const { queue, connectionString, namespace, tokens } = address
  const client =
    connectionString === undefined
      ? new ServiceBusClient(namespace ?? '', { getToken: (scope) => accessToken(tokens, scope) }, options)
      : new ServiceBusClient(connectionString, options)
  endReplacedSockets(client)
  const underWay: Session['underWay'] = new Map()
  const session: Session = {
    client,
    underWay,
    isGivenUp: false,
    giveUp: (reason) => {
      session.isGivenUp = true
      for (const giveUp of underWay.values()) giveUp(reason)
    },
    sender: client.createSender(queue),
    receiver: client.createReceiver(queue, { ...receiverOptions }),
    deadLetters: client.createReceiver(queue, { ...receiverOptions, subQueueType: 'deadLetter' }),
  }
  return session
}

async function accessToken(tokens: TokenSource, scope: string | string[]) {
  const { token, expiresAt } = await tokens.token([scope].flat().join(' '))
  return { token, expiresOnTimestamp: expiresAt }
}
