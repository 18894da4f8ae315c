import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { countTokens as countWhole } from 'gpt-tokenizer/encoding/o200k_base'
import type { ChatMessage } from './answer.ts'
import { countMessages, countTokens, maxTokens } from './tokenizer.ts'

test('counts as the encoding does', async () => {
  assert.equal(await countTokens(''), 0)
  assert.equal(await countTokens('hello world'), 2)
  assert.equal(await countTokens('Grüße aus Zürich 🙂'), countWhole('Grüße aus Zürich 🙂'))
})

test('takes what looks like a special token for text', async () => {
  assert.ok((await countTokens('a <|endoftext|> b <|im_start|>')) > 5)
})

test('counts prose of any length exactly, in slices', async (t) => {
  const seed = randomInt(2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const words = fc.oneof(
    fc.string({ minLength: 1, maxLength: 12 }),
    fc.constantFrom('the', 'naïve', '漢字仮名', '🙂', "don't", '123456', 'end.\n\n', '  ', '--', '/path/x'),
  )
  const prose = fc.array(words, { maxLength: 400 }).map((list) => list.join(' '))
  await fc.assert(
    fc.asyncProperty(prose, async (text) =>
      assert.equal(await countTokens(text), countWhole(text, { disallowedSpecial: new Set() })),
    ),
    { seed, numRuns: 150 },
  )
})

test('counts a run without spaces nearly, never splitting a character', async () => {
  for (const run of ['漢'.repeat(700), '🙂'.repeat(700), `a${'🙂'.repeat(700)}`]) {
    const [counted, whole] = [await countTokens(run), countWhole(run)]
    assert.ok(Math.abs(counted - whole) <= 2 * Math.ceil(run.length / 256), `${counted} for ${whole}`)
  }
})

test('lets others have their turn while it counts a huge text', async () => {
  let turns = 0
  let counting = true
  const others = async () => {
    while (counting) {
      turns++
      await new Promise(setImmediate)
    }
  }
  const beside = others()
  const unlike = Array.from({ length: 20_000 }, (_, at) => String.fromCharCode(0x4e00 + ((at * 7919) % 20_000)))
  await countTokens(unlike.join('')).finally(() => {
    counting = false
  })
  await beside
  assert.ok(turns > 5, `${turns} turns`)
})

test('adds what the chat format costs', async () => {
  const user: ChatMessage = { role: 'user', content: 'hello world' }
  assert.equal(await countMessages([]), 3)
  assert.equal(await countMessages([user]), 3 + 3 + 1 + 2)
  assert.equal(await countMessages([user, user]), 3 + 2 * (3 + 1 + 2))
  assert.equal(await countMessages([{ ...user, name: 'Ada' }]), 3 + 3 + 1 + 2 + 1 + (await countTokens('Ada')))
  assert.equal(await countMessages([{ role: 'assistant', content: null }]), 3 + 3 + 1)
})

test('counts parts, pictures and tool calls', async () => {
  const image = (detail?: string) => ({
    type: 'image_url',
    image_url: { url: `data:,${'x'.repeat(9999)}`, ...(detail && { detail }) },
  })
  const content = [{ type: 'text', text: 'hello world' }, image(), image('low')]
  assert.equal(await countMessages([{ role: 'user', content }]), 3 + 3 + 1 + 2 + 765 + 85)
  const call = { id: 'x', type: 'function' as const, function: { name: 'add', arguments: '{"a":1}' } }
  const texts = (await countTokens('add')) + (await countTokens('{"a":1}'))
  assert.equal(await countMessages([{ role: 'assistant', tool_calls: [call] }]), 3 + 3 + 1 + texts)
  const odd: ChatMessage = JSON.parse('{"role":"user","content":[null,3,{"text":7}],"tool_calls":[{}],"name":null}')
  assert.equal(await countMessages([odd]), 3 + 3 + 1)
})

test('knows a bound without counting', async () => {
  for (const text of ['', 'hello', '🙂漢é', '\0\0', 'zqxj'.repeat(50)])
    assert.ok((await countTokens(text)) <= maxTokens(text))
  assert.equal(maxTokens('é🙂'), 6)
})
