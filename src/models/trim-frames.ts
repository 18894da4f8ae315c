import { firstChoice, frameData, isFields } from './chunk-event.ts'

/**
 * Takes the first `skip` characters of text out of whole SSE frames of chat completion chunks; all else in them stays
 * as the provider sent it. For the seam of a relayed continuation, off the hot path.
 */
export function trimFrames(frames: Buffer, skip: number): Buffer {
  if (skip === 0) return frames
  let left = skip
  const kept = frames
    .toString()
    .split(/(?<=\n\r?\n)/)
    .map((frame) => {
      const data = left > 0 ? frameData(frame) : undefined
      if (data === undefined) return frame
      const chunk = JSON.parse(data)
      const delta = firstChoice(chunk)?.delta
      if (!isFields(delta)) return frame
      for (const field of ['content', 'refusal']) {
        const text = delta[field]
        if (typeof text !== 'string') continue
        Object.assign(delta, { [field]: text.slice(left) })
        left -= Math.min(left, text.length)
      }
      return `data: ${JSON.stringify(chunk)}\n\n`
    })
  return Buffer.from(kept.join(''))
}
