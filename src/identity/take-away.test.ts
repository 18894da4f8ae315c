import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { takeAway } from './take-away.ts'

const [admin, ana] = [
  { tenant: 't', id: 'admin' },
  { tenant: 't', id: 'ana' },
]

test('sessions end where tokens cannot be revoked, and the other way round, and it is told what happened', async () => {
  const [full, away] = [new ParleyError('overloaded'), new ParleyError('state_unavailable')]
  const done: string[] = []
  const revoking = (fault?: Error) => ({
    async revoke() {
      done.push('tokens')
      if (fault) throw fault
    },
  })
  const ending = (fault?: Error) => ({
    async endAll() {
      done.push('sessions')
      if (fault) throw fault
      return 2
    },
  })
  assert.deepEqual(await takeAway(revoking(), ending(), admin, ana), { ended: 2, tokens: 'revoked' })
  assert.deepEqual(await takeAway(revoking(full), ending(), admin, ana), { ended: 2, tokens: null, fault: full })
  assert.deepEqual(await takeAway(revoking(), ending(away), admin, ana), {
    ended: null,
    tokens: 'revoked',
    fault: away,
  })
  assert.deepEqual(await takeAway(revoking(full), ending(away), admin, ana), { ended: null, tokens: null, fault: full })
  assert.deepEqual(done, Array(4).fill(['tokens', 'sessions']).flat())
  assert.deepEqual(await takeAway(revoking(), undefined, admin, ana), { ended: 0, tokens: 'revoked' })
})
