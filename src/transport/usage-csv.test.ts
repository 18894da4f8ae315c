import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LedgerEntry } from '#governance/ledger.ts'
import { usageCsv } from './usage-csv.ts'

const entry: LedgerEntry = {
  ...{ turn: 'turn_1', segment: 0, at: Date.UTC(2026, 10, 21, 12), user: 'ana', groups: ['g1', 'g2'] },
  ...{ specialist: 'helper', config: 'v1', arm: 'canary', model: 'primary', inputTokens: 12, outputTokens: 3 },
  ...{ costUsd: 0.25, outcome: 'completed', estimated: false },
}

async function csvOf(...pages: LedgerEntry[][]): Promise<string> {
  async function* given() {
    yield* pages
  }
  return (await Array.fromAsync(usageCsv(given()))).join('')
}

const heading =
  'at,user,groups,specialist,config,arm,model,turn,segment,outcome,estimated,input_tokens,output_tokens,cost_usd\r\n'

test('a heading, and a line for each call', async () => {
  assert.equal(await csvOf(), heading)
  const line = '2026-11-21T12:00:00.000Z,ana,g1 g2,helper,v1,canary,primary,turn_1,0,completed,false,12,3,0.25\r\n'
  assert.equal(await csvOf([entry], [entry]), heading + line + line)
})

test('what would be taken for a comma or a line is quoted', async () => {
  const [, line] = (await csvOf([{ ...entry, config: 'a,"b"' }])).split('\r\n')
  assert.match(line ?? '', /,"a,""b""",canary,/)
})

test('amounts are decimals with all their digits, however small', async () => {
  for (const [costUsd, text] of [
    [1e-7, '0.0000001'],
    [1.25e-9, '0.00000000125'],
    [0, '0'],
    [12.5, '12.5'],
    [1.5e21, '1500000000000000000000'],
  ] as const) {
    const [, line] = (await csvOf([{ ...entry, costUsd }])).split('\r\n')
    assert.equal(line?.split(',').at(-1), text)
    assert.equal(Number(text), costUsd)
  }
})
