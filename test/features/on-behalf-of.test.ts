import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import type { ConfigDocument } from '#config/document.ts'
import { chatConfig } from '../support/chat-config.ts'
import { startEntraApp } from '../support/entra-app.ts'
import { freePort } from '../support/free-port.ts'
import { httpTarget } from '../support/http-target.ts'
import { nativeClient } from '../support/native-client.ts'
import { startOidcIssuer } from '../support/oidc-issuer.ts'
import { SignInBrowser } from '../support/sign-in-browser.ts'

/** A desk that answers whoever calls for a user, and a version with an action that calls it so. */
async function deskAndConfig() {
  const desk = await httpTarget((_request, response) => {
    response.setHeader('content-type', 'application/json').end('{"opened":true}')
  })
  const base = chatConfig({
    offline: { provider: 'offline', contextWindow: 32_000, continuation: 'restart', price: { input: 0, output: 0 } },
  })
  const config: ConfigDocument = {
    ...base,
    actions: {
      ...base.actions,
      open_ticket: {
        description: 'Opens a ticket.',
        parameters: { type: 'object', additionalProperties: false, properties: { title: { type: 'string' } } },
        http: { method: 'POST', url: `${desk.origin}/tickets`, onBehalfOf: 'api://desk/.default' },
        effect: 'idempotent',
      },
    },
  }
  return { desk, config, variables: { PARLEY_EGRESS_HOSTS: `127.0.0.1:${desk.port}` } }
}

test('an action calls its tool as the user who asked, waits while that user cannot be had, and goes on when the user is back', async () => {
  const { desk, config, variables } = await deskAndConfig()
  await using _desk = desk
  await using app = await startEntraApp({ config, variables })
  const { call } = nativeClient(app.url)
  const ana = await app.as({ oid: 'ana' })
  const open = async (title: string, headers: Record<string, string>) => {
    const { status, body } = await call('POST', '/api/v1/actions/open_ticket/runs', { arguments: { title } }, headers)
    assert.equal(status, 202, JSON.stringify(body))
    return body.id as string
  }
  const settledAs = async (run: string, wanted: string, headers: Record<string, string>) => {
    for (let look = 0; look < 2000; look++) {
      const { body } = await call('GET', `/api/v1/runs/${run}`, undefined, headers)
      if (body.status === wanted) return body
      await pause(25)
    }
    const { body } = await call('GET', `/api/v1/runs/${run}`, undefined, headers)
    assert.fail(`${run} is ${body.status} (${body.reason})`)
  }

  await settledAs(await open('first', ana), 'succeeded', ana)
  const [first] = desk.requests
  const token = String(first?.headers.authorization).replace('Bearer ', '')
  const { aud, oid, tid } = decodeJwt(token)
  assert.deepEqual([aud, oid, tid], ['api://desk', 'ana', app.issuer.home.id])
  assert.notEqual(ana.authorization, `Bearer ${token}`)

  // Ben's tokens are not taken at the authority any more, though he is let in for as long as the one he has lasts.
  const ben = await app.as({ oid: 'ben' })
  app.issuer.disabled.add('ben')
  const run = await open('second', ben)
  assert.equal((await settledAs(run, 'awaiting-identity', ben)).reason, 'awaiting_identity')
  assert.equal(desk.requests.length, 1)
  app.issuer.disabled.delete('ben')
  const back = await app.as({ oid: 'ben', claims: { jti: 'new' } })
  assert.equal((await settledAs(run, 'succeeded', back)).attempts.length, 1)
  assert.equal(decodeJwt(String(desk.requests[1]?.headers.authorization).replace('Bearer ', '')).oid, 'ben')
})

test('runs that waited go on as soon as the authority gives a token for their user again, or the user signs in', async () => {
  const { desk, config, variables } = await deskAndConfig()
  await using _desk = desk
  const port = await freePort()
  await using issuer = await startOidcIssuer([`http://127.0.0.1:${port}/auth/callback`])
  await using app = await startEntraApp({ issuer, config, variables: { ...variables, PORT: String(port) } })
  const { call } = nativeClient(app.url)
  const runs = '/api/v1/actions/open_ticket/runs'
  const open = async (headers: Record<string, string>, wait = 0) => {
    const prefer = { ...headers, prefer: `wait=${wait}` }
    return (await call('POST', runs, { arguments: { title: 'x' } }, prefer)).body
  }
  const becomes = async (run: string, wanted: string, headers: Record<string, string>) => {
    for (let look = 0; look < 2000; look++) {
      if ((await call('GET', `/api/v1/runs/${run}`, undefined, headers)).body.status === wanted) return
      await pause(25)
    }
    assert.fail(`${run} is not ${wanted}`)
  }

  // The same token all along: nobody is seen anew.
  const ben = await app.as({ oid: 'ben' })
  issuer.disabled.add('ben')
  const waiting = (await open(ben)).id
  await becomes(waiting, 'awaiting-identity', ben)
  issuer.disabled.delete('ben')
  assert.equal((await open(ben, 10)).status, 'succeeded')
  await becomes(waiting, 'succeeded', ben)

  const oid = randomUUID()
  const cleo = await app.as({ oid })
  issuer.disabled.add(oid)
  const other = (await open(cleo)).id
  await becomes(other, 'awaiting-identity', cleo)
  issuer.disabled.delete(oid)
  issuer.user = { oid, name: 'Cleo', roles: ['Chat.User'] }
  // As far as the way back to the site: no request follows with what the sign-in gave.
  const browser = new SignInBrowser()
  const back = (url: URL) => url.pathname === '/auth/callback'
  const { url } = await browser.visit(`${app.url}/auth/login`, back)
  const landed = await browser.fetch(url)
  await landed.body?.cancel()
  await becomes(other, 'succeeded', cleo)
})

test('an application has no user to call for', async () => {
  const { desk, config, variables } = await deskAndConfig()
  await using _desk = desk
  await using app = await startEntraApp({ config, variables })
  const { call } = nativeClient(app.url)
  const service = { authorization: `Bearer ${await app.issuer.home.clientCredentials()}` }
  const { status, body } = await call(
    'POST',
    '/api/v1/actions/open_ticket/runs',
    { arguments: { title: 'x' } },
    service,
  )
  assert.equal(status, 403, JSON.stringify(body))
  assert.equal(desk.requests.length, 0)
})
