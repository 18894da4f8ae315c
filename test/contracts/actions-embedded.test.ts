import { after, before } from 'node:test'
import { type Ground, openGround } from '../support/runs-at-hand.ts'
import { awaitingSuite } from './actions/awaiting.ts'
import { deadLettersSuite } from './actions/dead-letters.ts'
import { decisionsSuite } from './actions/decisions.ts'
import { executionSuite } from './actions/execution.ts'
import { hardeningSuite } from './actions/hardening.ts'
import { outOfReachSuite } from './actions/out-of-reach.ts'
import { pruningSuite } from './actions/pruning.ts'
import { recoverySuite } from './actions/recovery.ts'
import { sendingSuite } from './actions/sending.ts'
import { servingSuite } from './actions/serving.ts'
import { undoingSuite } from './actions/undoing.ts'

let ground: Ground
before(async () => {
  ground = await openGround()
})
after(() => ground[Symbol.asyncDispose]())

executionSuite(() => ground)
recoverySuite(() => ground)
decisionsSuite(() => ground)
deadLettersSuite(() => ground)
hardeningSuite(() => ground)
sendingSuite(() => ground)
servingSuite(() => ground)
undoingSuite(() => ground)
awaitingSuite(() => ground)
outOfReachSuite(() => ground)
pruningSuite(() => ground)
