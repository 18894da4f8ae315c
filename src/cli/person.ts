import { createInterface } from 'node:readline/promises'
import type { Person } from './command.ts'

/** Between two questions the terminal is left as it was, so that Ctrl-C is a signal and what is typed waits. */
export function personAt(input: NodeJS.ReadableStream, output: NodeJS.WritableStream, onInterrupt: () => void): Person {
  let history: string[] = []
  return {
    async ask(question, signal) {
      if (signal.aborted) return undefined
      const lines = createInterface({ input, output, terminal: true, history, historySize: 100 })
      const ended = Promise.withResolvers<undefined>()
      lines.on('close', () => ended.resolve(undefined))
      lines.on('history', (all: string[]) => {
        history = [...all]
      })
      lines.on('SIGINT', onInterrupt)
      try {
        const answer = lines.question(question, { signal }).catch(() => undefined)
        const said = await Promise.race([answer, ended.promise])
        if (said === undefined) output.write('\n')
        return said
      } finally {
        lines.close()
      }
    },
  }
}
