import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { personAt } from './person.ts'

function terminal() {
  const [input, output] = [new PassThrough(), new PassThrough({ encoding: 'utf8' })]
  let interrupts = 0
  const person = personAt(input, output, () => {
    interrupts += 1
  })
  let all = ''
  output.on('data', (text: string) => {
    all += text
  })
  /** Until it is shown, after what was waited for before. */
  const shown = async (text: string) => {
    while (!all.includes(text)) await once(output, 'data')
    all = all.slice(all.indexOf(text) + text.length)
  }
  return { input, person, shown, interrupts: () => interrupts }
}

const forever = new AbortController().signal

test('a question gets the line that is typed, one after the other, with those before within reach', async () => {
  const { input, person, shown } = terminal()
  const first = person.ask('> ', forever)
  await shown('> ')
  input.write('one\r')
  assert.equal(await first, 'one')
  const second = person.ask('again? ', forever)
  await shown('again? ')
  input.write('\u001b[A\r')
  assert.equal(await second, 'one')
})

test('its end, or a signal, leaves a question without an answer', async () => {
  const { input, person, shown } = terminal()
  const withdrawn = new AbortController()
  const first = person.ask('> ', withdrawn.signal)
  await shown('> ')
  withdrawn.abort()
  assert.equal(await first, undefined)
  assert.equal(await person.ask('> ', withdrawn.signal), undefined)
  const second = person.ask('? ', forever)
  await shown('? ')
  input.write('\u0004')
  assert.equal(await second, undefined)
})

test('Ctrl-C at a question is told, and the question stands', async () => {
  const { input, person, shown, interrupts } = terminal()
  const answer = person.ask('> ', forever)
  await shown('> ')
  input.write('\u0003')
  input.write('all the same\r')
  assert.equal(await answer, 'all the same')
  assert.equal(interrupts(), 1)
})
