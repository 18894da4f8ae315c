import { text } from 'node:stream/consumers'
import { isatty } from 'node:tty'
import { runCli } from './cli.ts'
import { Stopped } from './faults.ts'
import { personAt } from './person.ts'

const leaving = new AbortController()
const leave = (signal: 'SIGINT' | 'SIGTERM') => leaving.abort(new Stopped(signal))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, leave)
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  leaving.abort()
  // Who reads only the beginning, as `head` does, has read enough.
  if (error.code === 'EPIPE') return
  process.stderr.write(`parley: ${error.message}\n`)
  process.once('exit', () => {
    process.exitCode = 1
  })
})

process.exitCode = await runCli(process.argv.slice(2), {
  url: process.env.PARLEY_URL,
  token: process.env.PARLEY_TOKEN,
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  columns: process.stdout.isTTY ? process.stdout.columns : undefined,
  signal: leaving.signal,
  person: isatty(0) ? personAt(process.stdin, process.stderr, () => process.emit('SIGINT', 'SIGINT')) : undefined,
  input: () => text(process.stdin),
  onInterrupt(handle) {
    // Never without a listener: a signal that has been taken and not told yet would be lost with the last.
    process.on('SIGINT', handle)
    process.off('SIGINT', leave)
    return () => {
      process.once('SIGINT', leave)
      process.off('SIGINT', handle)
    }
  },
})
