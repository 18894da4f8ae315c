import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limited } from './limited.ts'

const tooLong = () => new Error('too long')

function responseOf(chunks: string[], type: string): Response {
  return new Response(ReadableStream.from(chunks.map((chunk) => Buffer.from(chunk))), {
    headers: { 'content-type': type },
  })
}

const read = (chunks: string[], type = 'application/json') => limited(responseOf(chunks, type), 10, tooLong).text()

test('a body may have as many bytes as the limit says, in however many pieces', async () => {
  assert.equal(await read(['12345', '67890']), '1234567890')
  await assert.rejects(read(['12345', '678901']), tooLong())
  await assert.rejects(read(['12345\n\n', '6789']), tooLong(), 'a blank line means nothing here')
})

test('in a stream of events, each may', async () => {
  const events = ['data: 1\n\nda', 'ta: 2\n\n', 'data: 3\r\n\r\ndata: 4']
  assert.equal(await read(events, 'text/event-stream; charset=utf-8'), events.join(''))
  await assert.rejects(read(['data: 1\n\n', 'data: 1234', '5'], 'text/event-stream'), tooLong())
})

test('status and headers stay, and no body stays no body', async () => {
  const response = limited(new Response('x', { status: 400, headers: { 'mcp-session-id': '7' } }), 10, tooLong)
  assert.deepEqual([response.status, response.headers.get('mcp-session-id')], [400, '7'])
  assert.equal(limited(new Response(null, { status: 204 }), 10, tooLong).status, 204)
})
