import type { Caller, Known } from './known.ts'

/** Erasures, kill-switches and budgets are among what is drawn: what exists is made anew after so many requests. */
const RENEWED_EVERY = 200
/** Who loses what is theirs to an erasure has something to lose again. */
const ERASING = new Set(['eraseMe', 'erasePerson'])
/** Whose tokens are taken no more gets others. */
const REVOKING = new Set(['signPersonOut'])
/** Of somebody who is being erased meanwhile, what was begun is gone; what operators have stopped is stopped. */
const EXPECTED =
  /issued before the access|"code":"(conversation_not_found|turn_not_found|erased|specialist_not_found|killed|budget_exceeded|models_unavailable|overloaded|too_many_keys)"/

/** Sees to it that there is something to find, and that nothing that operators have stopped stays so. */
export function renewing(
  url: string,
  callers: readonly Caller[],
  known: Known,
  found: (what: string, first: string) => void,
  issue: (caller: Caller) => Promise<void>,
) {
  let next = 0
  let under: Promise<void> | undefined

  async function call(caller: Caller, method: string, path: string, body?: unknown, more: Record<string, string> = {}) {
    const json: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
    const answer = await fetch(url + path, {
      method,
      headers: { ...caller.headers, ...json, ...more },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    if (answer.ok) known.keep(caller, path, text, answer.headers.get('etag') ?? undefined)
    else if (!EXPECTED.test(text)) found(`renewing ${method} ${path.replace(/conv_\w+/, '…')}: ${answer.status}`, text)
    return text
  }

  async function tidy(operator: Caller): Promise<void> {
    const lists = { 'kill-switches': /"scope":"([^"]+)"/g, budgets: /"scope":"([^"]+)".*?"version":(\d+)/g }
    for (const [what, pattern] of Object.entries(lists)) {
      const text = await call(operator, 'GET', `/api/v1/${what}`)
      for (const [, scope = '', version] of text.matchAll(pattern)) {
        const tag: Record<string, string> = version === undefined ? {} : { 'if-match': `"${version}"` }
        await fetch(`${url}/api/v1/${what}/${encodeURIComponent(scope)}`, {
          method: 'DELETE',
          headers: { ...operator.headers, ...tag },
        })
      }
    }
    for (const model of ['primary', 'backup', 'slow'])
      await call(operator, 'POST', `/api/v1/models/${model}/circuit`, { state: 'auto' })
    for (const path of ['config/rollout', 'config/shadow', 'config/versions'])
      await call(operator, 'GET', `/api/v1/${path}`)
  }

  async function furnish(caller: Caller): Promise<void> {
    const { mark } = caller
    const later = { prefer: 'respond-async' }
    const talk = async (specialist: string, message: string, more = {}) => {
      const made = await call(caller, 'POST', '/api/v1/conversations', { specialist, title: mark })
      const id = /conv_\w+/.exec(made)?.[0]
      if (id) await call(caller, 'POST', `/api/v1/conversations/${id}/turns`, { message }, more)
    }
    await talk('hermes', `Please open a ticket: ${mark}`)
    await talk('sisyphus', `Go on for long: ${mark} ${'and on '.repeat(200)}`, later)
    const run = (action: string, given: unknown) =>
      call(caller, 'POST', `/api/v1/actions/${action}/runs`, { arguments: given }, later)
    for (const priority of ['low', 'high', 'high']) await run('create_ticket', { title: mark, priority })
    for (const action of ['fail', 'doubt']) await run(action, { note: mark })
    await call(caller, 'GET', '/api/v1/runs?limit=100')
    await call(caller, 'POST', '/api/v1/keys', { name: 'a tool' })
  }

  async function renew(): Promise<void> {
    const operator = callers.find(({ oid }) => oid === 'operator')
    if (operator) await tidy(operator)
    for (const caller of callers) await furnish(caller)
  }

  return {
    /** Resolves once there is something to ask for. */
    async when(requests: number): Promise<void> {
      if (requests < next && !under) return
      next = requests + RENEWED_EVERY
      under ??= renew().finally(() => {
        under = undefined
      })
      await under
    },
    async heard(operation: string, status: number, { tenant, oid }: Caller, body: string | undefined): Promise<void> {
      if (status >= 300) return
      const person = /"person":"(\w+)"/.exec(body ?? '')?.[1] ?? oid
      if (ERASING.has(operation)) {
        known.forget({ tenant, oid: person })
        next = 0
      }
      const revoked = callers.find((each) => each.tenant === tenant && each.oid === person)
      if (REVOKING.has(operation) && revoked) await issue(revoked)
    },
  }
}
