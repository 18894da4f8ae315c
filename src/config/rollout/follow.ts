/** The view now, and again after each change; a follower that is slow gets the newest, not each. */
export async function* follow<View>(view: () => View, changed: EventTarget, signal: AbortSignal): AsyncGenerator<View> {
  let wake: () => void = () => {}
  let isNews = true
  const onChange = () => {
    isNews = true
    wake()
  }
  const listening = new AbortController()
  changed.addEventListener('change', onChange, { signal: listening.signal })
  signal.addEventListener('abort', onChange, { signal: listening.signal })
  try {
    while (!signal.aborted) {
      if (isNews) {
        isNews = false
        yield view()
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  } finally {
    listening.abort()
  }
}
