import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { beginTurns, checkSurvival, readSome, readUntilCut } from '../support/chaos.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { startReplica } from '../support/replica.ts'
import { startSharedEngines } from '../support/shared-engines.ts'
import { type Plan, startUpstream } from '../support/upstream.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

const TURNS = 200
const TOKENS = 40
const answer = madeUpPieces(TOKENS).join('')

test(`kill -9 in the middle of ${TURNS} turns: each goes on elsewhere, no call is asked twice, none is billed twice`, async () => {
  await using opened = new AsyncDisposableStack()
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-chaos-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  const engines = opened.use(await startSharedEngines())
  const calling: Plan = { toolCalls: [{ name: 'calculate', arguments: '{"expression":"6*7"}' }] }
  const speaking: Plan = { tokens: TOKENS, pace: 10 }
  const upstream = await startUpstream(({ messages }) =>
    JSON.stringify(messages).includes('"role":"tool"') ? speaking : calling,
  )
  opened.defer(() => upstream.close())
  const config = chatConfig({ primary: upstreamModel('primary', upstream.baseUrl, { concurrency: 1000 }) })
  await writeFile(path.join(folder, 'v1.json'), JSON.stringify(config))
  const variables = {
    ...engines.variables,
    PARLEY_CONFIG_DIR: folder,
    PARLEY_DATA_DIR: path.join(folder, 'data'),
    PARLEY_EGRESS_HOSTS: upstream.host,
    PARLEY_TURN_LEASE_MS: '5000',
    PARLEY_LOG_LEVEL: 'error',
  }
  const [doomed, heir] = await Promise.all([startReplica(variables), startReplica(variables)])
  opened.use(doomed)
  opened.use(heir)

  const turns = await beginTurns(doomed, 'helper', 'what is six times seven?', TURNS)
  // Some are killed in their first words, some later, some before the action, as it comes.
  await Promise.all(turns.slice(0, TURNS / 2).map((watched, index) => readSome(watched, 1 + (index % 5))))
  await doomed.kill()
  await Promise.all(turns.map(readUntilCut))

  const ends = await Promise.all(turns.map((watched) => checkSurvival(heir, watched, answer)))
  for (const events of ends) {
    assert.equal(events.filter(({ type }) => type === 'call').length, 1)
    const settled = events.filter(
      ({ type, data }) => type === 'run' && (data as { output?: string }).output !== undefined,
    )
    assert.equal(settled.length, 1)
    const usages = events.filter(({ type }) => type === 'usage')
    const { receipt } = (events.at(-1)?.data ?? {}) as { receipt: { segments: unknown[] } }
    assert.equal(receipt.segments.length, usages.length)
  }
})
