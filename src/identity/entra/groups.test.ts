import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { systemClock } from '#platform/clock.ts'
import { createEntraClient } from '#platform/entra/msal.ts'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { type Graph, startGraph } from '../../../test/support/graph.ts'
import { type OidcIssuer, SCOPE, startOidcIssuer } from '../../../test/support/oidc-issuer.ts'
import { createGroupLookup, withGroups } from './groups.ts'
import { createTokenVerifier } from './token-verifier.ts'

const MINUTE = 60_000
let issuer: OidcIssuer
let graph: Graph
before(async () => {
  issuer = await startOidcIssuer()
  graph = await startGraph(issuer)
})
after(async () => {
  await graph[Symbol.asyncDispose]()
  await issuer[Symbol.asyncDispose]()
})
beforeEach(() => {
  graph.fault = undefined
  graph.asked.length = 0
})

/** Somebody in too many groups, and what asks of them. */
async function ana(wanted: string[], own: readonly string[] = wanted) {
  const oid = randomUUID()
  graph.groups.set(oid, own)
  const clock = manualClock()
  const { log, lines } = capturedLog()
  const { authority, clientId, clientSecret } = issuer
  const shared = { authority, clientId, scope: SCOPE, fetch, clock: systemClock }
  const entra = createEntraClient({ ...shared, clientSecret: () => clientSecret })
  const lookup = createGroupLookup({ entra, graph: graph.origin, fetch, wanted: () => wanted, clock, log })
  const token = await issuer.home.sign({ oid })
  const ask = () => lookup({ tenant: issuer.home.id, id: oid }, token)
  return { oid, ask, clock, lines, lookup }
}

test('of the groups that matter it is asked, as the user, which the user is in, and for a while not again', async () => {
  const { oid, ask, clock } = await ana(['g1', 'g2', 'g3'], ['g3', 'g1', 'another'])
  const expected = { groups: ['g1', 'g3'], groupsAmong: ['g1', 'g2', 'g3'] }
  assert.deepEqual(await ask(), expected)
  clock.advance(15 * MINUTE)
  assert.deepEqual(await ask(), expected)
  assert.deepEqual(graph.asked, [{ oid, groupIds: ['g1', 'g2', 'g3'] }])
  clock.advance(1)
  graph.groups.set(oid, ['g2'])
  assert.deepEqual((await ask()).groups, ['g2'])
})

test('who asks at once asks once', async () => {
  const { ask } = await ana(['g1'])
  const answers = await Promise.all(Array.from({ length: 10 }, ask))
  assert.ok(answers.every(({ groups }) => groups[0] === 'g1'))
  assert.equal(graph.asked.length, 1)
})

test('where no group matters nobody is asked', async () => {
  const { ask } = await ana([])
  assert.deepEqual(await ask(), { groups: [], groupsAmong: [] })
  assert.equal(graph.asked.length, 0)
})

test('twenty are asked about at a time, two hundred at most; of the others nothing is known', async () => {
  const names = Array.from({ length: 201 }, (_, index) => `g${String(index).padStart(3, '0')}`)
  const { ask } = await ana(names)
  const { groups, groupsAmong } = await ask()
  assert.deepEqual([groups.length, groupsAmong.length, graph.asked.length], [200, 200, 10])
  assert.ok(!groupsAmong.includes('g200'))
})

test('a group that begins to matter is asked about at once', async () => {
  const wanted = ['g1']
  const { ask } = await ana(wanted, ['g1', 'g2'])
  await ask()
  wanted.push('g2')
  assert.deepEqual(await ask(), { groups: ['g1', 'g2'], groupsAmong: ['g1', 'g2'] })
  wanted.shift()
  assert.deepEqual(await ask(), { groups: ['g2'], groupsAmong: ['g2'] })
  assert.equal(graph.asked.length, 2)
})

test('a directory that refuses leaves what is not known unknown, and is not asked again at once', async () => {
  for (const [status, code] of [
    [401, 'InvalidAuthenticationToken'],
    [403, 'Authorization_RequestDenied'],
    [429, 'TooManyRequests'],
    [503, 'serviceNotAvailable'],
  ] as const) {
    const { ask, clock, lines } = await ana(['g1'])
    graph.fault = { status, code }
    assert.deepEqual(await ask(), { groups: [], groupsAmong: [] }, code)
    assert.equal(lines.length, 1)
    graph.fault = undefined
    assert.deepEqual(await ask(), { groups: [], groupsAmong: [] })
    clock.advance(10_000)
    assert.deepEqual((await ask()).groups, ['g1'])
  }
})

test('what was known stands for an hour while the directory is away', async () => {
  const { ask, clock } = await ana(['g1'])
  await ask()
  graph.fault = { status: 503, code: 'serviceNotAvailable' }
  clock.advance(60 * MINUTE)
  assert.deepEqual((await ask()).groups, ['g1'])
  clock.advance(1)
  assert.deepEqual((await ask()).groupsAmong, [])
})

test('a user for whom no token is given is in no group that is known', async () => {
  const { oid, ask } = await ana(['g1'])
  issuer.disabled.add(oid)
  assert.deepEqual(await ask(), { groups: [], groupsAmong: [] })
})

test('tokens that name no groups for there are too many are told from those that name all', async () => {
  const { lookup } = await ana(['g1'])
  const { authority, clientId, home } = issuer
  const verifier = createTokenVerifier({
    ...{ authority, v1Issuer: authority, tenant: home.id, guests: [], audiences: [clientId], scope: SCOPE, fetch },
    ...{ clock: systemClock, log: capturedLog().log },
  })
  const tokens = withGroups(verifier, lookup)
  const oid = randomUUID()
  graph.groups.set(oid, ['g1'])
  const principalOf = async (claims: object) => (await tokens.verify(await home.sign({ oid, ...claims }))).principal
  const elsewhere = {
    _claim_names: { groups: 'src1' },
    _claim_sources: { src1: { endpoint: 'https://graph.windows.net/x' } },
  }
  const many = Array.from({ length: 201 }, (_, index) => `many-${index}`)
  for (const claims of [elsewhere, { hasgroups: true }, { hasgroups: 'true' }, { groups: many }]) {
    const { groups, groupsAmong } = await principalOf(claims)
    assert.deepEqual([groups, groupsAmong], [['g1'], ['g1']], JSON.stringify(claims).slice(0, 60))
  }
  const { groups, groupsAmong } = await principalOf({ groups: many.slice(1) })
  assert.deepEqual([groups?.length, groupsAmong], [200, undefined])
  assert.equal((await principalOf({})).groups, undefined)
  // An application asks for itself: on behalf of nobody.
  const service = await principalOf({ scp: undefined, idtyp: 'app', ...elsewhere })
  assert.deepEqual([service.kind, service.groups, service.groupsAmong], ['service', [], []])
})
