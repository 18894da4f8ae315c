import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Shadows, ShadowView } from '#config/shadow.ts'
import { ParleyError } from '#errors.ts'
import { registerShadowApi } from '#transport/config-api.ts'
import { cliRun } from '../../test/support/cli-run.ts'
import { caller, startTransport } from '../../test/support/transport-server.ts'

const none: ShadowView = {
  etag: '1',
  live: null,
  finished: [],
  comparison: null,
  limits: { budgetUsd: 10, turns: 1000 },
}
const at = Date.UTC(2026, 10, 21, 12)
const live = {
  ...{ id: 'shadow_1', version: 'v3', hash: 'h', share: 10, budgetUsd: 5, turns: 200 },
  ...{ startedAt: at, startedBy: 'Olga', until: at + 1 },
}
const side = {
  finishes: { stop: 31 },
  failures: {},
  characters: 412,
  inputTokens: 900,
  outputTokens: 103,
  costUsd: 0.0026,
}
const call = { calls: 4, outcomes: { 'would-run': 3, arguments_invalid: 1 }, arguments: { title: 4 } }
const compared: ShadowView = {
  ...none,
  live,
  comparison: {
    shadow: live.id,
    version: 'v3',
    turns: { taken: 33, compared: 31, lost: 1 },
    costUsd: { spent: 0.081, held: 0.01 },
    skipped: { busy: 2 },
    overlap: 0.613,
    served: { ...side, firstTokenMs: { p50: 210, p90: 480 } },
    shadowed: { ...side, failures: { model_failed: 1 }, firstTokenMs: null },
    actions: [{ action: 'create_ticket', served: { calls: 0, outcomes: {}, arguments: {} }, shadowed: call }],
  },
}

async function start(view: ShadowView) {
  const asked: unknown[] = []
  const shadows: Shadows = {
    view: async () => view,
    async start(_by, request) {
      asked.push(request)
      if (request.version === 'v9') throw new ParleyError('config_not_found')
      return compared
    },
    async stop(_by, request) {
      asked.push(request)
      return { ...none, finished: [{ ...live, endedAt: at, ended: 'stopped', reason: `Olga: ${request.reason}` }] }
    },
  }
  const transport = await startTransport((server) => registerShadowApi(server, shadows), {
    authenticate: () => ({ principal: { ...caller, roles: ['Config.Operator'] } }),
  })
  const run = (...args: string[]) => cliRun(transport.url, undefined, ['config', 'shadow', ...args])
  return { asked, run, [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose]() }
}

test('what is tried is shown beside what was served', async () => {
  await using cli = await start(compared)
  const { code, out } = await cli.run()
  assert.equal(code, 0)
  assert.equal(
    out,
    `shadow   v3, since 2026-11-21 12:00:00Z, started by Olga
bounds   10 % of turns, at most 200 and 5 USD
turns    31 compared of 33 copied, 1 lost
cost     0.081 USD, 0.01 held for copies under way
skipped  busy 2
overlap  61.3 % of the words, on average

A TURN           SERVED      SHADOW
ended            stop 31     stop 31
failed           -           model_failed 1
characters       412         412
tokens in        900         900
tokens out       103         103
cost             0.0026 USD  0.0026 USD
first token p50  210 ms      -
first token p90  480 ms      -

CALLS OF       SERVED  SHADOW
create_ticket  0: -    4: would-run 3, arguments_invalid 1
`,
  )
})

test('before the first there is nothing to show but what is permitted', async () => {
  await using cli = await start(none)
  assert.equal((await cli.run()).out, 'shadow   nothing was tried yet; at most 10 USD and 1000 turns are permitted\n')
})

test('a version is tried within bounds that are named, and stopped with a reason', async () => {
  await using cli = await start(none)
  assert.equal((await cli.run('start', 'v3', '--budget', '5', '--turns', '200')).code, 0)
  assert.equal((await cli.run('start', 'v3', '--budget', '0.5', '--turns', '9', '--share', '2.5')).code, 0)
  const { out } = await cli.run('stop', '--reason', 'Enough.')
  assert.match(out, /^shadow {3}none\nlast {5}v3, ended at 2026-11-21 12:00:00Z: Olga: Enough\.\n/)
  assert.deepEqual(cli.asked, [
    { version: 'v3', share: 10, budgetUsd: 5, turns: 200, ifMatch: '1' },
    { version: 'v3', share: 2.5, budgetUsd: 0.5, turns: 9, ifMatch: '1' },
    { reason: 'Enough.', ifMatch: '1' },
  ])
})

test('what is not given as it is taken is said, and so is what is refused', async () => {
  await using cli = await start(none)
  for (const args of [
    ['start', 'v3', '--turns', '3'],
    ['start', 'v3', '--budget', 'all', '--turns', '3'],
    ['start'],
    ['begin'],
  ]) {
    assert.equal((await cli.run(...args)).code, 2, args.join(' '))
  }
  const { code, err } = await cli.run('start', 'v9', '--budget', '1', '--turns', '1')
  assert.deepEqual([code, err], [1, 'parley: There is no such config version.\n'])
})
