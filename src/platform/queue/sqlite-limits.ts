/** As a queue of Service Bus is set up for us. */
export const maxDeliveries = 10
export const duplicateWindowMs = 10 * 60_000
export const defaultLockMs = 30_000
