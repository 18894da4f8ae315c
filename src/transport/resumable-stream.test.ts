import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTransport } from '../../test/support/transport-server.ts'
import { openResumableStream } from './sse.ts'

test('those who lose a stream at once are told to be back at different times', async () => {
  await using transport = await startTransport((server) => {
    server.get('/it', async (_request, reply) => openResumableStream(reply, { 'x-a': 'b' }).end())
  })
  const waits = new Set<number>()
  for (let asked = 0; asked < 20; asked++) {
    const answer = await fetch(`${transport.url}/it`)
    assert.equal(answer.headers.get('x-a'), 'b')
    const [, waitMs] = /^retry: (\d+)\n\n$/.exec(await answer.text()) ?? []
    assert.ok(Number(waitMs) >= 1000 && Number(waitMs) < 5000, `${waitMs}`)
    waits.add(Number(waitMs))
  }
  assert.ok(waits.size > 5)
})
