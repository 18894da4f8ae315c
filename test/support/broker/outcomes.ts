import rhea, { type AmqpError, type Delivery } from 'rhea'

interface Described {
  described(): unknown
}

/** What rhea does not publish of its codec. */
const outcomes = rhea.message as unknown as {
  accepted(): Described
  rejected(fields: { error: AmqpError }): Described
}

/** The second phase of a settlement, by which its consumer learns whether it counted. */
export function answerSettlement(delivery: Delivery, error: AmqpError | undefined): void {
  const outcome = error ? outcomes.rejected({ error }) : outcomes.accepted()
  delivery.update(true, outcome.described())
  // Nothing more comes from the other side: without this the buffer of the session would fill.
  Object.assign(delivery, { remote_settled: true })
}
