import { createInterface } from 'node:readline'
import { setImmediate as round, setTimeout as wait } from 'node:timers/promises'
import type { Person } from './command.ts'

type Input = NodeJS.ReadableStream & { setRawMode?(isRaw: boolean): unknown }

/** Between two questions the terminal is left as it was, so that Ctrl-C is a signal and what is typed waits. */
export function personAt(input: Input, output: NodeJS.WritableStream, onInterrupt: () => void): Person {
  let history: string[] = []

  async function ask(question: string, signal: AbortSignal): Promise<string | undefined> {
    if (signal.aborted) return undefined
    const lines = createInterface({ input, output, terminal: true, history, historySize: 100, prompt: question })
    lines.on('history', (all: string[]) => {
      history = [...all]
    })
    lines.on('SIGINT', onInterrupt)
    try {
      const answer = burstOf(lines, signal)
      lines.prompt()
      const said = await answer
      if (said === undefined) output.write('\n')
      return said
    } finally {
      lines.close()
    }
  }

  return {
    ask,
    async confirm(question, signal) {
      try {
        // As the line that is not finished is among it.
        input.setRawMode?.(true)
        await discardTyped(input, onInterrupt)
        return await ask(question, signal)
      } finally {
        input.setRawMode?.(false)
      }
    },
  }
}

/** What a paste brings comes faster than anybody types. */
const BURST_MS = 50

/** A line, with those that come at once with it; undefined when there will be none, or once the signal aborts. */
function burstOf(lines: ReturnType<typeof createInterface>, signal: AbortSignal): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const said: string[] = []
  const finish = () => resolve(said.length > 0 ? said.join('\n') : undefined)
  const give = (count: number) => {
    // What stands on the line is the rest of a paste, and not finished.
    if (said.length === count && lines.line === '') finish()
  }
  let quiet: NodeJS.Timeout | undefined
  lines.on('line', (line) => {
    const count = said.push(line)
    clearTimeout(quiet)
    // By way of a round, in which what has come meanwhile is read.
    quiet = setTimeout(() => setImmediate(give, count), BURST_MS)
  })
  lines.on('close', finish)
  const withdraw = () => resolve(undefined)
  signal.addEventListener('abort', withdraw)
  return promise.finally(() => {
    clearTimeout(quiet)
    signal.removeEventListener('abort', withdraw)
  })
}

const QUIET_MS = 10

/** Throws away what was typed before now. Ctrl-C is no signal meanwhile, and is none of it. */
async function discardTyped(input: Input, onInterrupt: () => void): Promise<void> {
  let isQuiet = true
  const discard = (typed: Buffer | string) => {
    isQuiet = false
    if (typed.includes('\u0003')) onInterrupt()
  }
  input.on('data', discard)
  try {
    input.resume()
    do {
      isQuiet = true
      await wait(QUIET_MS)
      await round()
    } while (!isQuiet)
  } finally {
    input.off('data', discard)
    input.pause()
  }
}
