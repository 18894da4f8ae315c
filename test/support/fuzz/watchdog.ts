import { Worker } from 'node:worker_threads'

const BEAT_MS = 500
const TEXT_BYTES = 4096

/** Runs in a thread of its own, since the one that is watched may never come to itself again. */
const WATCH = `
const { workerData: { beats, text, limitMs } } = require('node:worker_threads')
const usedMs = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000 }
let seen = -1
let since = 0
setInterval(() => {
  const now = Atomics.load(beats, 0)
  if (now !== seen) since = usedMs()
  seen = now
  if (usedMs() - since < limitMs) return
  const last = Buffer.from(text).toString().replace(/\\0.*/s, '')
  require('node:fs').writeSync(2, 'The event loop stands still; asked last: ' + last + '\\n')
  process.kill(process.pid, 'SIGKILL')
}, ${BEAT_MS})
`

/**
 * Ends the process where the event loop stands still for so long, and says what was asked last. What counts is the time of the
 * processor: on a busy machine a process stands still that does nothing wrong.
 */
export function startWatchdog(limitMs: number) {
  const beats = new Int32Array(new SharedArrayBuffer(4))
  const text = new Uint8Array(new SharedArrayBuffer(TEXT_BYTES))
  const worker = new Worker(WATCH, { eval: true, workerData: { beats, text, limitMs } })
  worker.unref()
  const timer = setInterval(() => Atomics.add(beats, 0, 1), BEAT_MS)
  timer.unref()
  return {
    asks(what: string): void {
      const { written } = new TextEncoder().encodeInto(what.slice(0, TEXT_BYTES / 4), text)
      text.fill(0, written)
    },
    async stop(): Promise<void> {
      clearInterval(timer)
      await worker.terminate()
    },
  }
}
