let waiting: (() => void)[] = []

/**
 * Runs the task once all sockets of this turn of the event loop have brought what they have; what it adds runs in the same
 * go, behind those that wait. So an append and the transaction that it is part of need no turn of the loop each, and many
 * streams need one immediate: one each took 3 µs of a paced token.
 */
export function atEndOfTick(task: () => void): void {
  if (waiting.push(task) === 1) setImmediate(runAll)
}

function runAll(): void {
  let next = 0
  try {
    while (next < waiting.length) waiting[next++]?.()
  } finally {
    // Those behind one that threw.
    waiting = waiting.slice(next)
    if (waiting.length > 0) setImmediate(runAll)
  }
}
