import type { ServiceBusMessage, ServiceBusReceivedMessage } from '@azure/service-bus'
import type { DeadLetter, QueueMessage } from './queue.ts'

/** Where Azure's own tools look for the trace context of a message. */
const traceProperty = 'Diagnostic-Id'

/** As bytes: the client would write a string as JSON, up to six times as long. */
export function toServiceBus({ id, body, traceparent }: QueueMessage): ServiceBusMessage {
  return {
    messageId: id,
    body: Buffer.from(body),
    ...(traceparent !== undefined && { applicationProperties: { [traceProperty]: traceparent } }),
  }
}

export function fromServiceBus({ messageId, body, applicationProperties }: ServiceBusReceivedMessage): QueueMessage {
  const message: QueueMessage = { id: String(messageId ?? ''), body: Buffer.from(body ?? '').toString() }
  const traceparent = applicationProperties?.[traceProperty]
  if (typeof traceparent === 'string') message.traceparent = traceparent
  return message
}

/** The broker counts the deliveries that came back. */
export function deliveryCountOf({ deliveryCount = 0 }: ServiceBusReceivedMessage): number {
  return deliveryCount + 1
}

export function toDeadLetter(message: ServiceBusReceivedMessage): DeadLetter {
  return {
    ...fromServiceBus(message),
    reason: message.deadLetterReason ?? '',
    description: message.deadLetterErrorDescription ?? '',
    deliveryCount: Math.max(1, message.deliveryCount ?? 1),
    enqueuedAt: message.enqueuedTimeUtc?.getTime() ?? 0,
  }
}
