import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '#log.ts'
import { AzureBlobStore } from '#platform/blob/azure.ts'
import { createContainerName, startAzurite } from '../support/azurite.ts'
import { failed, openRolloutGround, operator } from '../support/rollouts-at-hand.ts'

test('over Blob Storage a rollout begins, is led by one, is decided by one of two operators, takes itself back, and is not set back by a blob', async () => {
  await using opened = new AsyncDisposableStack()
  const azurite = opened.use(await startAzurite())
  const ground = opened.use(await openRolloutGround())
  const { clock } = ground
  const container = createContainerName()
  const { connectionString } = azurite
  const account = { connectionString, tokens: { token: async () => ({ token: '', expiresAt: 0 }) } }
  const open = () => {
    const blobs = new AzureBlobStore({ account, container, clock, log: createLog('silent') })
    opened.defer(() => blobs.close())
    return blobs
  }
  ground.push('v1')
  const replicas = [await ground.replica({ blobs: open() }), await ground.replica({ blobs: open() })] as const
  const [one, two] = replicas
  assert.deepEqual(
    replicas.map(({ rollouts }) => rollouts.view().leader),
    [true, false],
  )
  ground.push('v2')
  await ground.passUntil(() => replicas.every(({ rollouts }) => rollouts.view().live !== null))
  const decision = { reason: 'By hand.', ifMatch: one.rollouts.view().etag }
  const both = await Promise.allSettled([
    one.rollouts.promote(operator('Olga'), decision),
    two.rollouts.pause(operator('Otto'), decision),
  ])
  assert.equal(both.filter(({ status }) => status === 'fulfilled').length, 1)
  for (let n = 0; n < 12; n++)
    one.converse({ ...(one.rollouts.view().live?.status === 'canary' && { arm: 'canary' }), ...failed })
  if (one.rollouts.view().live?.status === 'paused') {
    await one.rollouts.rollback(operator(), { reason: 'Bad.', ifMatch: one.rollouts.view().etag })
  }
  await ground.passUntil(() => replicas.every(({ rollouts }) => rollouts.view().live === null))
  const lines = await two.rollouts.history(10)
  assert.deepEqual(
    [lines[0]?.to, lines.length, replicas.map(({ serving }) => serving.stable().name)],
    ['rolled-back', 4, ['v1', 'v1']],
  )
  // Somebody puts back what the container had before it was rolled back.
  const known = two.rollouts.view().epoch
  const store = open()
  const line = await store.get(`history/${String(known - 1).padStart(9, '0')}.json`)
  const { state, ...last } = JSON.parse(line && line !== 'unchanged' ? line.bytes.toString() : '')
  await store.put('state.json', Buffer.from(JSON.stringify({ ...state, last })))
  await ground.passUntil(() => replicas.every(({ rollouts }) => rollouts.view().diverged?.epoch === known - 1))
  const restored = await two.rollouts.restore(operator(), { reason: 'By mistake.', ifMatch: String(known) })
  assert.deepEqual([restored.live, restored.epoch], [null, known + 1])
  await ground.passUntil(() => one.rollouts.view().epoch === known + 1)
  assert.equal(one.rollouts.view().diverged, null)
  await Promise.all(replicas.map((replica) => replica.close()))
})
