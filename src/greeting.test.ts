import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEnv } from './env.ts'
import { greetingOf } from './greeting.ts'

const uses = [{ need: 'state', engine: 'SQLite in data' }]
const local = readEnv({})

test('who has started a process is told what it uses and where to go', () => {
  assert.equal(
    greetingOf(local, uses, 'http://127.0.0.1:8080'),
    `Parley is ready.
  state     SQLite in data

  chat      http://127.0.0.1:8080/
            npx parley chat
  OpenAI    http://127.0.0.1:8080/v1
  API       http://127.0.0.1:8080/docs

`,
  )
})

test('elsewhere the command line is told where, and behind Entra ID it is not that simple', () => {
  const there = 'http://127.0.0.1:8081'
  assert.match(greetingOf(local, uses, there), /\n {12}PARLEY_URL=http:\/\/127\.0\.0\.1:8081 npx parley chat\n/)
  const entra = { ...local, identity: { ...local.identity, engine: 'entra' } } as typeof local
  assert.doesNotMatch(greetingOf(entra, uses, there), /npx/)
})

test('a worker has nothing to show but its health', () => {
  const greeting = greetingOf({ ...local, role: 'worker' }, uses, 'http://127.0.0.1:8080')
  assert.ok(greeting.endsWith('\n\n  health    http://127.0.0.1:8080/health/ready\n\n'), greeting)
})
