import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import type { Command } from './command.ts'
import { Misused } from './faults.ts'

export const usageCommands: Record<string, Command> = {
  export: {
    operands: ['<month>'],
    flags: '[--out <file>]',
    summary: 'every call of a model in a month (such as 2026-11) and what it cost, as CSV',
    options: { out: { type: 'string' } },
    async run({ client, host, operand, text }) {
      const month = operand(0)
      if (!/^\d{4}-(0[1-9]|1[0-2])$/.test(month)) throw new Misused('A month is given as 2026-11.')
      const chunks = client.chunks(`/api/v1/usage?month=${month}&format=csv`, 'text/csv')
      const out = text('out')
      if (out === undefined) for await (const chunk of chunks) host.out(chunk)
      else await write(out, chunks)
    },
  },
}

/** Nothing is written where the process refuses. */
async function write(file: string, chunks: AsyncGenerator<Uint8Array>): Promise<void> {
  const first = await chunks.next()
  const stream = createWriteStream(file)
  const written = finished(stream).catch((error: Error) => {
    throw new Misused(error.message)
  })
  try {
    if (!first.done) stream.write(first.value)
    for await (const chunk of chunks) if (!stream.write(chunk)) await drained(stream, written)
  } finally {
    stream.end()
    await written
  }
}

function drained(stream: NodeJS.WritableStream, failed: Promise<void>): Promise<void> {
  const drain = Promise.withResolvers<void>()
  stream.once('drain', drain.resolve)
  return Promise.race([drain.promise, failed])
}
