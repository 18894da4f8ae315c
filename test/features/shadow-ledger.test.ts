import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { sumDecimals } from '#governance/decimals.ts'
import { shadowAtHand } from '../support/shadow-at-hand.ts'

interface Usage {
  total: { costUsd: number; calls: number }
  items: { model: string; costUsd: number; calls: number; shadow?: true }[]
}

test('what copies cost is in the ledger, marked, and neither the person’s nor a budget’s', async () => {
  await using ground = await shadowAtHand({ candidate: { price: { input: 10, output: 50 } } })
  const usage = async (whose: string): Promise<Usage> =>
    (await ground.client.call('GET', `/api/v1/usage?whose=${whose}`)).body
  await ground.consent()
  await ground.start()
  await ground.talk()
  const { comparison } = await ground.viewWhen(({ comparison: now }) => now?.turns.compared === 1)
  const spent = comparison?.costUsd.spent ?? 0
  assert.ok(spent > 0)
  let all = await usage('tenant')
  for (let tries = 0; all.items.length < 2 && tries < 2000; tries++) {
    await setTimeout(20)
    all = await usage('tenant')
  }
  const copies = all.items.filter(({ shadow }) => shadow === true)
  assert.deepEqual(
    copies.map(({ calls, costUsd }) => [calls, costUsd]),
    [[1, spent]],
  )
  assert.equal(all.total.costUsd, sumDecimals(all.items.map(({ costUsd }) => costUsd)))
  const mine = await usage('mine')
  assert.ok(mine.items.every(({ shadow }) => shadow === undefined))
  assert.equal(mine.total.calls, 1)

  const csv = await fetch(`${ground.app.url}/api/v1/usage?format=csv`).then((answer) => answer.text())
  const [heading = '', ...lines] = csv.trimEnd().split('\r\n')
  const column = (line: string, name: string) => line.split(',')[heading.split(',').indexOf(name)]
  const marked = lines.filter((line) => column(line, 'arm') === 'shadow')
  assert.deepEqual(
    marked.map((line) => ['user', 'groups', 'config', 'cost_usd'].map((name) => column(line, name))),
    [['', '', 'v2', String(spent)]],
  )
  assert.equal(sumDecimals(lines.map((line) => Number(column(line, 'cost_usd')))), all.total.costUsd)
})
