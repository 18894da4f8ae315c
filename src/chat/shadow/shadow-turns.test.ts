import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { Compared, LiveShadow, ShadowBook } from '#config/shadow.ts'
import type { Models } from '#models/models.ts'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { chatConfig } from '../../../test/support/chat-config.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { Progress } from '../progress.ts'
import { tokenCounter } from '../token-counter.ts'
import type { TurnContext } from '../turn-context.ts'
import { ShadowTurns } from './shadow-turns.ts'

const price = { input: 1, output: 1 }
const model = { provider: 'offline' as const, contextWindow: 32_000, continuation: 'restart' as const, price }
const versionOf = (name: string) => ({ name, hash: `hash of ${name}`, document: chatConfig({ only: model }) })
const live: LiveShadow = {
  ...{ id: 'shadow_1', version: 'v2', hash: 'hash of v2', share: 100, budgetUsd: 1, turns: 9 },
  ...{ startedAt: 0, startedBy: 'Olga', until: 1e15 },
}

function openGround({
  share = 100,
  consents = async () => true,
}: {
  share?: number
  consents?: () => Promise<boolean>
} = {}) {
  const clock = manualClock()
  const { log, lines } = capturedLog()
  const skipped: string[] = []
  const settled: { spentUsd: number; compared: Compared | null }[] = []
  const asked: AbortSignal[] = []
  const looks = { live: 0 }
  const answer = Promise.withResolvers<{ text: string }>()
  const book: ShadowBook = {
    live: () => {
      looks.live += 1
      return share === 0 ? undefined : { ...live, share }
    },
    take: async (shadow) => ({ id: `copy_${settled.length}`, shadow: shadow.id }),
    settle: async (_taken, spentUsd, compared) => void settled.push({ spentUsd, compared }),
    skipped: (_shadow, reason) => void skipped.push(reason),
    onStop: () => () => {},
  }
  const models: Pick<Models, 'answer' | 'use' | 'close'> = {
    async answer({ signal }, sink) {
      asked.push(signal)
      const aborted = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      const tokens = { inputTokens: 5, cachedTokens: 0, outputTokens: 2, costUsd: 0.25, estimated: false }
      const segment = { model: 'only', provider: 'offline' as const, ...tokens, durationMs: 1 }
      try {
        const { text } = await Promise.race([answer.promise, aborted])
        sink.ended({ ...segment, outcome: 'completed', firstTokenMs: 40 })
        return { finish: 'stop', text, toolCalls: [], model: 'only', wire: { id: 'c', created: 0, model: 'only' } }
      } catch (error) {
        sink.ended({ ...segment, outcome: 'cancelled' })
        throw error
      }
    },
    use: () => {},
    close: async () => {},
  }
  const busy = { queued: 0, coolingUntil: undefined as number | undefined }
  const turns = new ShadowTurns({
    ...{ book, models, clock, log, counter: tokenCounter },
    configs: { get: versionOf },
    served: { health: () => [busy] as unknown as ReturnType<Models['health']> },
    actions: { tools: () => [] },
    hasConsented: consents,
    isLoaded: () => false,
  })
  const offer = (
    more: Partial<TurnContext['input']> = {},
    status: 'completed' | 'cancelled' | 'failed' = 'completed',
    config = 'v1',
  ) => {
    const progress = new Progress()
    progress.apply('token', { text: 'It is noon.' })
    progress.apply('usage', {
      ...{ model: 'only', provider: 'offline', inputTokens: 3, cachedTokens: 0, outputTokens: 4, costUsd: 0.5 },
      ...{ estimated: false, outcome: 'completed', firstTokenMs: 90, durationMs: 1, step: 0 },
      ...(status === 'completed' && { finish: 'stop' as const }),
    })
    const principal = { tenant: 'home', id: 'ada', name: 'Ada', kind: 'user', roles: [], scopes: [] }
    const input = {
      turn: 'turn_1',
      specialist: 'plain',
      principal,
      alone: null,
      followUp: null,
      readOnly: false,
      ...more,
    }
    const prompt = [
      { role: 'system', content: 'Answer.' },
      { role: 'user', content: 'What time is it?' },
    ]
    const end = { status, ...(status === 'failed' && { error: { code: 'model_failed' } }) }
    turns.offer({ input, prompt, progress, config: versionOf(config) } as unknown as TurnContext, end)
  }
  const settle = async () => {
    for (let turn = 0; turn < 30; turn++) await setImmediate()
  }
  return { clock, lines, skipped, settled, asked, looks, busy, turns, offer, settle, say: answer.resolve }
}

test('where nothing is tried a turn costs one look at memory', async () => {
  const { offer, looks, asked, skipped, settle } = openGround({ share: 0 })
  for (let turn = 0; turn < 100; turn++) offer()
  await settle()
  assert.deepEqual([looks.live, asked.length, skipped.length], [100, 0, 0])
})

test('a copy is compared with the first answer of its turn', async () => {
  const { offer, say, settle, settled } = openGround()
  offer()
  say({ text: 'It is midnight.' })
  await settle()
  const [copy] = settled
  assert.equal(copy?.spentUsd, 0.25)
  const calls: never[] = []
  assert.deepEqual(copy?.compared, {
    served: {
      finish: 'stop',
      failure: null,
      characters: 11,
      inputTokens: 3,
      outputTokens: 4,
      costUsd: 0.5,
      firstTokenMs: 90,
      calls,
    },
    shadowed: {
      finish: 'stop',
      failure: null,
      characters: 15,
      inputTokens: 5,
      outputTokens: 2,
      costUsd: 0.25,
      firstTokenMs: 40,
      calls,
    },
    overlap: 0.5,
  })
})

test('a turn that failed is compared as what it is', async () => {
  const { offer, say, settle, settled } = openGround()
  offer({}, 'failed')
  say({ text: 'Noon.' })
  await settle()
  assert.deepEqual([settled[0]?.compared?.served.finish, settled[0]?.compared?.served.failure], [null, 'model_failed'])
})

test('what goes wrong with a copy is nothing to the turn', async () => {
  const { offer, lines, settle, busy } = openGround()
  Object.defineProperty(busy, 'queued', {
    get: () => {
      throw new Error('broken')
    },
  })
  offer()
  await settle()
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ['Whether a turn is to be copied could not be told'],
  )
})

test('turns are drawn by their id: the same one always, and as many as the share says', async () => {
  const { offer, skipped, settle, asked } = openGround({ share: 25 })
  for (let turn = 0; turn < 2000; turn++) offer({ turn: `turn_${turn}` })
  await settle()
  const drawn = asked.length + skipped.length
  assert.ok(drawn > 400 && drawn < 600, String(drawn))
  for (let turn = 0; turn < 2000; turn++) offer({ turn: `turn_${turn}` })
  await settle()
  assert.equal(asked.length + skipped.length, 2 * drawn)
})

test('what says nothing about a version is not copied', async () => {
  const { offer, skipped, settle, asked, busy } = openGround()
  offer({}, 'cancelled')
  offer({ followUp: { turn: 'turn_0', runs: [] } })
  assert.deepEqual(skipped, [], 'there was nothing to copy')
  offer({ alone: { history: [], parameters: { tools: [{ type: 'function', function: { name: 'mine' } }] } } })
  offer({}, 'completed', 'v2')
  busy.queued = 1
  offer()
  busy.queued = 0
  busy.coolingUntil = 5
  offer()
  busy.coolingUntil = undefined
  offer()
  offer()
  offer()
  await settle()
  assert.deepEqual(skipped, ['own-tools', 'same-version', 'loaded', 'loaded', 'busy'])
  assert.equal(asked.length, 2)
})

test('who cannot be asked has not consented', async () => {
  const { offer, skipped, settle, asked } = openGround({ consents: () => Promise.reject(new Error('away')) })
  offer()
  await settle()
  assert.deepEqual([skipped, asked.length], [['no-consent'], 0])
})

test('consent that ends while a copy is under way ends the copy, and one that ends with it counts too', async () => {
  let isGiven = true
  const { offer, settle, settled, asked, clock, say } = openGround({ consents: async () => isGiven })
  offer()
  await settle()
  isGiven = false
  clock.advance(1000)
  await settle()
  assert.equal(asked[0]?.aborted, true)
  isGiven = true
  offer()
  await settle()
  isGiven = false
  say({ text: 'Noon.' })
  await settle()
  assert.deepEqual(settled, [
    { spentUsd: 0.25, compared: null },
    { spentUsd: 0.25, compared: null },
  ])
})

test('a copy that takes too long has failed', async () => {
  const { offer, settle, settled, clock } = openGround()
  offer()
  await settle()
  for (let second = 0; second < 120; second++) {
    clock.advance(1000)
    await setImmediate()
  }
  await settle()
  assert.equal(settled[0]?.compared?.shadowed.failure, 'turn_deadline')
})

test('a replica that stops gives up what is under way, and settles it', async () => {
  const { offer, settle, settled, turns, skipped } = openGround()
  offer()
  await settle()
  await turns.close()
  assert.deepEqual(settled, [{ spentUsd: 0.25, compared: null }])
  offer()
  assert.deepEqual(skipped, [])
})
