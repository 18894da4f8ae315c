const EVENT_STREAM = 'text/event-stream'

/**
 * The response, whose body fails with `fault()` when a message in it is longer than `maxBytes`: the whole body, or what comes
 * between two blank lines of an event stream, which may go on for days.
 */
export function limited(response: Response, maxBytes: number, fault: () => Error): Response {
  if (!response.body) return response
  const perEvent = response.headers.get('content-type')?.toLowerCase().startsWith(EVENT_STREAM) ?? false
  let bytes = 0
  const count = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      const start = perEvent ? startOfEvent(chunk) : 0
      bytes = start === 0 ? bytes + chunk.length : chunk.length - start
      if (bytes > maxBytes) controller.error(fault())
      else controller.enqueue(chunk)
    },
  })
  const { status, statusText, headers } = response
  return new Response(response.body.pipeThrough(count), { status, statusText, headers })
}

/** Where the last event of a chunk begins, 0 when none ends in it. */
function startOfEvent(chunk: Uint8Array): number {
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
  const [plain, carriage] = [bytes.lastIndexOf('\n\n'), bytes.lastIndexOf('\n\r\n')]
  return Math.max(plain < 0 ? 0 : plain + 2, carriage < 0 ? 0 : carriage + 3)
}
