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

test('lines that come at once are one message, with what is typed behind the last of them', async () => {
  const { input, person, shown } = terminal()
  const pasted = person.ask('> ', forever)
  await shown('> ')
  input.write('one\ntwo\r\rthree\r')
  assert.equal(await pasted, 'one\ntwo\n\nthree')
  const unfinished = person.ask('? ', forever)
  await shown('? ')
  input.write('four\rfi')
  await shown('fi')
  input.write('ve\r')
  assert.equal(await unfinished, 'four\nfive')
})

test('what is typed ahead goes to a question, and is no answer to one that has to be seen first', async () => {
  const { input, person, shown } = terminal()
  input.write('ahead\r')
  assert.equal(await person.ask('> ', forever), 'ahead')
  input.write('y\r')
  const seen = person.confirm('sure? ', forever)
  await shown('sure? ')
  input.write('n\r')
  assert.equal(await seen, 'n')
})
