import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerPolicy } from './answer-policy.ts'

test('a site at https is to be reached by nothing else for a year, any other may', () => {
  const name = 'strict-transport-security'
  assert.equal(answerPolicy('https://chat.example')[name], 'max-age=31536000')
  assert.equal(answerPolicy('http://localhost:8080')[name], undefined)
  assert.equal(answerPolicy(undefined)[name], undefined)
})
