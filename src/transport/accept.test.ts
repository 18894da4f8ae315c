import assert from 'node:assert/strict'
import { test } from 'node:test'
import { preferredType } from './accept.ts'

const offers = ['application/json', 'text/event-stream'] as const
const [json, events] = offers

const cases: [accept: string | undefined, expected: string | undefined][] = [
  [undefined, json],
  ['', json],
  ['*/*', json],
  ['text/event-stream', events],
  ['Text/Event-Stream', events],
  ['application/json', json],
  ['text/event-stream, application/json', json],
  ['text/event-stream, application/json;q=0.9', events],
  ['application/json;q=0.1, */*;q=0.5', events],
  ['text/*', events],
  ['text/*;q=0', undefined],
  ['text/html', undefined],
  ['text/event-stream;q=0', undefined],
  ['*/*, text/event-stream;q=0', json],
  ['application/json;q=0, */*', events],
  ['text/html, application/xhtml+xml, */*;q=0.8', json],
  ['text/event-stream;charset=utf-8', events],
  ['text/event-stream;q=nonsense', undefined],
  ['text/event-stream;q=7', undefined],
  [',,;', undefined],
]

for (const [accept, expected] of cases) {
  test(`accept ${JSON.stringify(accept)} is served ${expected}`, () => {
    assert.equal(preferredType(accept, offers), expected)
  })
}
