import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type EntraApp, startEntraApp } from '../support/entra-app.ts'

const ROLES = ['Chat.User', 'Action.Approver', 'Config.Operator', 'Finance.Operator', 'Privacy.Officer', 'Admin']

interface Operation {
  operationId: string
  security: object[]
  'x-roles'?: string[] | 'any'
  responses: Record<string, unknown>
}

let app: EntraApp
let operations: { method: string; path: string; operation: Operation }[]

before(async () => {
  app = await startEntraApp()
  const response = await fetch(`${app.url}/openapi.json`, { headers: await app.as({ oid: 'reader' }) })
  const { paths } = (await response.json()) as { paths: Record<string, Record<string, Operation>> }
  operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  )
})
after(() => app.stop())

/** With nothing that it would need, so that nothing comes of it but whether the caller is let in. */
async function ask(method: string, path: string, headers: Record<string, string>) {
  const target = path.replaceAll(/\{\w+\}/g, 'x')
  const response = await fetch(app.url + target, { method, headers, redirect: 'manual' })
  const isJson = response.headers.get('content-type')?.startsWith('application/json')
  const text = isJson ? await response.text() : ''
  if (!isJson) await response.body?.cancel()
  return { status: response.status, message: text && JSON.parse(text).error?.message }
}

test('every route says in the document whom it serves, as it is declared', () => {
  const documented = new Map(operations.map(({ method, path, operation }) => [`${method} ${path}`, operation]))
  const described = app.app.server.routeList.filter(({ schema, method }) => schema && !schema.hide && method !== 'HEAD')
  assert.equal(described.length, documented.size)
  for (const { method, url, config } of described) {
    const where = `${method} ${url.replaceAll(/:(\w+)/g, '{$1}')}`
    const operation = documented.get(where)
    assert.ok(operation, `${where} is not in the document`)
    assert.deepEqual(operation['x-roles'], config?.open ? undefined : config?.roles, where)
    assert.equal(operation.security.length === 0, config?.open === true, where)
  }
})

test('what no document tells of is the documentation itself, the page, and the WebSocket', () => {
  const hidden = app.app.server.routeList
    .filter(({ schema, method }) => (!schema || schema.hide) && method !== 'HEAD')
    .map(({ method, url }) => `${method} ${url}`)
  const told = hidden.filter((route) => !/^GET \/($|page\/)/.test(route))
  assert.deepEqual(told.sort(), ['GET /docs', 'GET /docs/*', 'GET /openapi.json', 'GET /ws/v1/specialists/:id'])
})

test('who has none of the documented roles is refused, and who has one is not; without a token only what is open answers', async () => {
  const callers = await Promise.all(ROLES.map((role) => app.as({ oid: `has-${role}`, roles: [role] })))
  const nobody = await app.as({ oid: 'has-none', roles: [] })
  for (const { method, path, operation } of operations) {
    const { 'x-roles': roles, security, operationId, responses } = operation
    const anonymous = await ask(method, path, {})
    assert.ok(String(anonymous.status) in responses || anonymous.status === 401, `${operationId} ${anonymous.status}`)
    // What is open may want a cookie of its own.
    if (security.length > 0) assert.equal(anonymous.status, 401, operationId)
    if (roles === undefined) continue
    const asked = [...callers, nobody].map(async (headers, at) => {
      const role = ROLES[at] ?? 'none'
      const { status, message } = await ask(method, path, headers)
      const isRefused = status === 403 && /^This takes one of the roles/.test(message)
      const shown = `${operationId} as ${role}: ${status} ${message}`
      assert.equal(isRefused, roles !== 'any' && !roles.includes(role), shown)
      assert.ok(String(status) in responses, `${shown} is not documented`)
    })
    await Promise.all(asked)
  }
})
