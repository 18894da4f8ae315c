import { type QueueMessage, queueLimits, type ScheduledHandle } from './queue.ts'
import type { ServiceBusConnection } from './service-bus-connection.ts'
import { isNotFound } from './service-bus-fault.ts'
import { toServiceBus } from './service-bus-message.ts'

/** What goes into one request has to stay below the smallest tier's 256 KiB, with room for what surrounds it. */
const requestBytes = 3 * queueLimits.bodyBytes
const surroundingBytes = 600
const messagesPerRequest = 100

export async function scheduleMessages(
  connection: ServiceBusConnection,
  messages: readonly QueueMessage[],
  at: number,
): Promise<ScheduledHandle[]> {
  const handles: ScheduledHandle[] = []
  for (const part of partsOf(messages)) {
    const numbers = await connection.run(({ sender }) => sender.scheduleMessages(part.map(toServiceBus), new Date(at)))
    handles.push(...numbers.map((number) => number.toString() as ScheduledHandle))
  }
  return handles
}

/** One that is not scheduled any more fails its whole request, so each goes alone. */
export async function cancelMessages(
  connection: ServiceBusConnection,
  handles: readonly ScheduledHandle[],
): Promise<void> {
  const { default: Long } = await import('long')
  await Promise.all(
    handles.map((handle) =>
      connection.run(({ sender }) =>
        sender.cancelScheduledMessages(Long.fromString(handle)).catch((error) => {
          if (!isNotFound(error)) throw error
        }),
      ),
    ),
  )
}

function partsOf(messages: readonly QueueMessage[]): QueueMessage[][] {
  const parts: QueueMessage[][] = []
  let bytes = 0
  for (const message of messages) {
    const last = parts.at(-1)
    const added = Buffer.byteLength(message.body) + surroundingBytes
    bytes += added
    if (last && bytes <= requestBytes && last.length < messagesPerRequest) {
      last.push(message)
    } else {
      parts.push([message])
      bytes = added
    }
  }
  return parts
}
