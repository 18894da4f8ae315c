import { runCli } from './cli.ts'

const leaving = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => leaving.abort())
// Who reads only the beginning, as `head` does, has read enough.
process.stdout.on('error', () => leaving.abort())

process.exitCode = await runCli(process.argv.slice(2), {
  url: process.env.PARLEY_URL,
  token: process.env.PARLEY_TOKEN,
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  columns: process.stdout.isTTY ? process.stdout.columns : undefined,
  signal: leaving.signal,
})
