import assert from 'node:assert/strict'
import type { ConfigDocument } from '#config/document.ts'
import type { Message } from '#conversations/conversations.ts'
import type { ModelSpec, RouteSpec } from '#models/schema.ts'
import { startApp, type TestApp, type TestAppOptions } from './app.ts'
import { chatConfig, upstreamModel } from './chat-config.ts'
import { collect, nativeClient, textOf } from './native-client.ts'
import type { SseEvent } from './sse.ts'
import { type Plan, startUpstream, type Upstream } from './upstream.ts'

/** One model of the route under test: what it answers, call by call, and how it is configured. */
export interface RoutedModel {
  plans?: Plan[] | Upstream['plan']
  spec?: Partial<ModelSpec>
}

export interface ModelRoute extends AsyncDisposable {
  app: TestApp
  client: ReturnType<typeof nativeClient>
  upstreams: Record<string, Upstream>
  /** Says something in a new conversation, and reads to the end. */
  ask(message?: string, specialist?: string): Promise<Asked>
  /** The same for a reader that waits for the whole answer. */
  answer(message?: string, specialist?: string): ReturnType<ReturnType<typeof nativeClient>['call']>
}

export interface Asked {
  conversation: string
  turn: string
  events: SseEvent[]
}

/** For tests that wait for a silent model; long enough for one that answers on a busy machine. */
export const impatient = { connectTimeoutMs: 2000, firstTokenTimeoutMs: 2000, stallTimeoutMs: 2000 }

export interface RouteOptions extends Omit<TestAppOptions, 'config'> {
  timers?: Omit<RouteSpec, 'models'>
  /** Changes to the config version of `chatConfig`. */
  adjust?(config: ConfigDocument): void
}

/** The whole app over one route, each of whose models is behind an upstream of its own, in the order given. */
export async function startRoute(models: Record<string, RoutedModel>, options: RouteOptions = {}): Promise<ModelRoute> {
  await using opened = new AsyncDisposableStack()
  const upstreams: Record<string, Upstream> = {}
  const specs: Record<string, ModelSpec> = {}
  for (const [name, { plans, spec }] of Object.entries(models)) {
    const upstream = await startUpstream(plans)
    opened.defer(() => upstream.close())
    upstreams[name] = upstream
    specs[name] = upstreamModel(name, upstream.baseUrl, spec)
  }
  const { timers, adjust, variables, ...rest } = options
  const config = chatConfig(specs, timers)
  adjust?.(config)
  const app = await startApp({
    ...rest,
    config,
    variables: { PARLEY_EGRESS_HOSTS: '127.0.0.1', ...variables },
  })
  opened.use(app)
  const client = nativeClient(app.url)
  const closing = opened.move()
  return {
    app,
    client,
    upstreams,
    async ask(message = 'hello?', specialist = 'plain') {
      const conversation = await client.conversation(specialist)
      const { turn, events } = await client.stream(conversation, message)
      return { conversation, turn, events: await collect(events) }
    },
    async answer(message = 'hello?', specialist = 'plain') {
      const conversation = await client.conversation(specialist)
      return client.call('POST', `/api/v1/conversations/${conversation}/turns`, { message })
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** The data of the only event of this type. */
export function only<Data>(events: readonly SseEvent[], type: string): Data {
  const found = events.filter((event) => event.type === type)
  assert.equal(found.length, 1, `${type}: ${found.length} in ${events.map((event) => event.type).join(' ')}`)
  return found[0]?.data as Data
}

/** Whoever reads it, and however: stream, resumed stream, turn and messages tell the same text, which is answered. */
export async function checkOneText({ client }: ModelRoute, { turn, conversation, events }: Asked): Promise<string> {
  const text = textOf(events)
  const { body } = await client.call('GET', `/api/v1/turns/${turn}`)
  assert.equal(body.text, text)
  const { body: messages } = await client.call('GET', `/api/v1/conversations/${conversation}/messages`)
  const said = (messages.items as Message[]).filter((message) => message.turn === turn && message.role === 'assistant')
  assert.equal(said.map(({ content }) => content).join(''), text)
  assert.deepEqual(await collect(await client.resume(turn)), events)
  for (const [position, { id }] of events.slice(0, -1).entries()) {
    assert.deepEqual(await collect(await client.resume(turn, id)), events.slice(position + 1))
  }
  return text
}
