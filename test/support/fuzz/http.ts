import fc from 'fast-check'
import { drawn } from './drawing.ts'
import { exchanges } from './exchange.ts'
import type { Ground } from './ground.ts'
import { hiddenMarks, marked } from './known.ts'
import { type FuzzRequest, requestOf } from './requests.ts'
import { wrongs } from './wrongs.ts'

const AT_ONCE = 8
/** Who asks, by a die of ten, so that everybody comes to what is not for them, too. */
const ANYBODY = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3] as const
const OPERATORS = [0, 1, 2, 2, 2, 2, 2, 2, 3, 3] as const
/** They leave little to find, or nobody who may ask: one of them comes where of the others there are so many. */
const RARE = { operations: ['eraseMe', 'erasePerson', 'signPersonOut'], oneIn: 5 }

/** Sends that many requests, drawn from the published document; from those of some operations when they are named. */
export async function fuzzHttp(ground: Ground, requests: number, seed: number, only: readonly string[] = []) {
  const { app, callers, documents, known, renew, found } = ground
  const { operations, resolve, misfit } = ground.document
  const exchange = exchanges(app.url, AT_ONCE)
  const any = fc.oneof(
    ...operations
      .filter(({ id, path }) => (only.length === 0 ? !path.startsWith('/auth/') : only.includes(id)))
      .map((each) => ({
        arbitrary: requestOf(each, { resolve, documents }),
        weight: RARE.operations.includes(each.id) ? 1 : RARE.oneIn,
      })),
  )
  const all = drawn(any, requests, seed)
  let asked = 0

  async function ask(request: FuzzRequest): Promise<void> {
    const { id, isForOperators } = request.operation
    const who = callers[(isForOperators ? OPERATORS : ANYBODY)[request.caller] ?? 0]
    if (!who) return
    const [path = ''] = request.target.split('?')
    const target = marked(known.fill(request.target, who), path, who)
    const body = request.body && marked(known.fill(request.body, who, target), path, who)
    const said = Object.entries(request.headers)
      .map(([name, value]) => [name, known.fill(value, who, target)])
      .filter(([, value]) => value !== '')
    const { authorization } = who.headers
    const headers: Record<string, string> = { ...who.headers, ...Object.fromEntries(said) }
    const full = { ...request, target, body, headers }
    const shown = `${id} by ${who.oid}: ${request.method} ${target.slice(0, 200)} ${JSON.stringify(Object.fromEntries(said)).slice(0, 200)} ${body?.slice(0, 600) ?? ''}`
    ground.asks(shown)
    asked += 1
    const answer = await exchange.ask(full).catch((error: Error) => error)
    const status = answer instanceof Error ? 'none' : `${answer.status}`
    ground.count(id, request.isOfOperation ? status : undefined, requests)
    if (answer instanceof Error) return found(`${id}: no answer: ${answer.message}`, shown)
    const tell = (wrong: string) => found(`${id}: ${wrong}`, `${shown} → ${answer.status} ${answer.text.slice(0, 500)}`)
    for (const wrong of wrongs(full, answer, misfit)) tell(wrong)
    // By another token it would be another who asks.
    if (headers.authorization !== authorization) return
    for (const [mark, what] of hiddenMarks(callers, who, path)) if (answer.text.includes(mark)) tell(what)
    const foreign = known.foreignId(who, `${target} ${body ?? ''} ${JSON.stringify(headers)}`, answer.text)
    if (foreign) tell('an id of the other tenant')
    if (answer.status < 300) known.keep(who, target, answer.text, answer.etag)
    await renew.heard(id, answer.status, who, body)
  }

  const worker = async () => {
    for (const request of all) {
      await renew.when(asked)
      await ask(request)
    }
  }
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
  } finally {
    exchange.close()
  }
  await ground.conclude(exchange.ports)
}
