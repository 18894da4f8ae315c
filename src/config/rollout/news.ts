import type { Clock } from '#platform/clock.ts'
import type { Key, Kv } from '#platform/kv/kv.ts'

const LISTEN_RETRY_MS = 1000

/** Hears signals until the result is called. Until it listens, and where a signal is lost, whoever hears finds out by looking. */
export function listenForNews(kv: Kv, at: Key, onNews: () => void, clock: Clock): () => Promise<void> {
  let isClosed = false
  let stopWaiting = () => {}
  let listening: Promise<() => void> | undefined
  const attempt = () => {
    listening = kv.listen(at, onNews)
    listening.catch(() => {
      if (!isClosed) stopWaiting = clock.after(LISTEN_RETRY_MS, attempt)
    })
  }
  attempt()
  return async () => {
    isClosed = true
    stopWaiting()
    const stop = await listening?.catch(() => undefined)
    stop?.()
  }
}
