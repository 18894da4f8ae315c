/** For limits on what a process does by its own timers: time in which it did not run, on a machine that stalls, is not counted. */
export interface Stopwatch extends Disposable {
  readonly ms: number
}

const TICK_MS = 5
const AT_MOST_MS = 4 * TICK_MS

export function startStopwatch(): Stopwatch {
  let last = performance.now()
  let ms = 0
  const count = () => {
    const now = performance.now()
    ms += Math.min(now - last, AT_MOST_MS)
    last = now
  }
  const ticker = setInterval(count, TICK_MS)
  return {
    get ms() {
      count()
      return ms
    },
    [Symbol.dispose]: () => clearInterval(ticker),
  }
}
