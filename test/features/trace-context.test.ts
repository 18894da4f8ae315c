import assert from 'node:assert/strict'
import { test } from 'node:test'
import { httpTarget } from '../support/http-target.ts'
import { startRoute } from '../support/model-route.ts'
import { collect } from '../support/native-client.ts'

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

test('a trace is passed on from a request over its turn to the target of an action, though nobody listens', async () => {
  await using target = await httpTarget((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}')
  })
  const call = { toolCalls: [{ name: 'look', arguments: '{}' }] }
  await using route = await startRoute(
    { only: { plans: [call, { pieces: ['Done.'] }] } },
    {
      variables: { PARLEY_EGRESS_HOSTS: '127.0.0.1', PARLEY_EGRESS_PRIVATE: '127.0.0.0/8' },
      adjust(config) {
        config.actions = {
          ...config.actions,
          look: {
            description: 'Looks.',
            parameters: { type: 'object' },
            http: { method: 'GET', url: `${target.origin}/look` },
            access: 'read',
          },
        }
        const { helper } = config.specialists
        if (helper) helper.actions = [...(helper.actions ?? []), 'look']
      },
    },
  )
  const conversation = await route.client.conversation('helper')
  const { events } = await route.client.stream(conversation, 'look!', { headers: { traceparent } })
  await collect(events)
  assert.deepEqual(
    target.requests.map(({ headers }) => headers.traceparent),
    [traceparent],
  )
})
