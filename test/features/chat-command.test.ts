import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { runCli } from '../../src/cli/cli.ts'
import type { Person } from '../../src/cli/command.ts'
import { Stopped } from '../../src/cli/faults.ts'
import { startApp } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { quietHost } from '../support/cli-run.ts'
import { nativeClient } from '../support/native-client.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

const opened = new AsyncDisposableStack()
let upstream: Upstream
let line: TcpProxy
let url: string

before(async () => {
  upstream = opened.adopt(await startUpstream(), (mock) => mock.close())
  const config = chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) })
  const { calculate } = config.actions ?? {}
  assert.ok(calculate)
  calculate.approval = { roles: ['Action.Approver'], ownAllowed: true, editable: [] }
  const app = opened.use(await startApp({ config, variables: { PARLEY_EGRESS_HOSTS: upstream.host } }))
  url = app.url
  // Opens the database, which takes its time.
  const warm = { arguments: {} }
  await nativeClient(url).call('POST', '/api/v1/actions/current_time/runs', warm, { prefer: 'wait=60' })
  line = opened.use(await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(url).port) }))
})

after(() => opened.disposeAsync())

interface Sitting {
  /** What is answered to each question; no more answers, no more person. */
  answers?: (string | undefined)[]
  input?: string
  /** Called with what stands on stdout, and with what Ctrl-C and SIGTERM would do, at each piece of it. */
  onOut?: (out: string, keys: { interrupt(): void; terminate(): void }) => void
}

async function chat(args: string[], { answers, input, onOut }: Sitting = {}) {
  const said = { out: '', err: '', questions: [] as string[] }
  const leaving = new AbortController()
  const interrupts: (() => void)[] = []
  const keys = { interrupt: () => interrupts.at(-1)?.(), terminate: () => leaving.abort(new Stopped('SIGTERM')) }
  const ask: Person['ask'] = async (question) => {
    said.questions.push(question)
    return answers?.shift()
  }
  const code = await runCli(['chat', ...args], {
    ...quietHost(),
    url: `http://127.0.0.1:${line.port}`,
    token: undefined,
    out: (text) => {
      said.out += text
      onOut?.(said.out, keys)
    },
    err: (text) => {
      said.err += text
    },
    signal: leaving.signal,
    person: answers && { ask, confirm: ask },
    input: async () => input ?? '',
    onInterrupt(handle) {
      interrupts.push(handle)
      return () => void interrupts.splice(interrupts.indexOf(handle), 1)
    },
  })
  return { code, ...said }
}

const texts = (count: number) => `${madeUpPieces(count).join('')}\n`

test('a message, given or piped in, gets its answer on stdout', async () => {
  upstream.requests.length = 0
  const given = await chat(['mock: tokens=20', '--specialist', 'plain'])
  assert.deepEqual(given, { code: 0, out: texts(20), err: '', questions: [] })
  const piped = await chat(['--specialist', 'plain'], { input: 'mock: tokens=5' })
  assert.deepEqual([piped.code, piped.out], [0, texts(5)])
  const { out } = await chat(['mock: tokens=5', '--json'])
  const events = out
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text))
  assert.deepEqual([events[0].event, events.at(-1).event], ['turn.started', 'turn.completed'])
  assert.equal(events[0].data.specialist, 'plain', 'the first of them, where none is named')
})

test('a line that is cut again and again costs no word, and asks no model twice', async () => {
  upstream.requests.length = 0
  const lengths = [60, 300, 700]
  const { code, out, err } = await chat(['mock: tokens=120 pace=150', '--specialist', 'plain'], {
    onOut: (text) => {
      if (text.length < (lengths[0] ?? Number.POSITIVE_INFINITY)) return
      lengths.shift()
      line.cut()
    },
  })
  assert.deepEqual([code, out], [0, texts(120)])
  // How often depends on what had arrived already.
  assert.match(err, /^(Reconnecting; nothing is lost\.\n)*$/)
  assert.equal(upstream.requests.length, 1)
})

test('Ctrl-C cancels the turn, at the provider, too', async () => {
  upstream.requests.length = 0
  let pressed = 0
  const { code, err } = await chat(['mock: tokens=2000 pace=100', '--specialist', 'plain'], {
    onOut: (_, { interrupt }) => {
      pressed += 1
      if (pressed === 5) interrupt()
    },
  })
  assert.deepEqual([code, err], [130, '(cancelled)\n'])
  const [request] = upstream.requests
  await request?.closed
  assert.notEqual(request?.abortedAt, undefined)
})

test('who leaves is told how to come back, and gets the rest and nothing twice', async () => {
  upstream.requests.length = 0
  let isLeft = false
  const left = await chat(['mock: tokens=200 pace=100', '--specialist', 'plain'], {
    onOut: (_, { terminate }) => {
      if (!isLeft) terminate()
      isLeft = true
    },
  })
  assert.equal(left.code, 143)
  const [, event] = /chat --resume (turn_[0-9a-f]{32}\.\d+)\n$/.exec(left.err) ?? []
  assert.ok(event, left.err)
  const rest = await chat(['--resume', event])
  assert.equal(rest.code, 0)
  assert.equal(left.out.slice(0, -1) + rest.out, texts(200))
  const whole = await chat(['--resume', event.split('.')[0] ?? ''])
  assert.equal(whole.out, texts(200))
  assert.equal(upstream.requests.length, 1)
})

test('what is refused ends with 1 and its sentence, what is said in a conversation does not end it', async () => {
  assert.deepEqual(await chat(['hi', '--specialist', 'nobody']), {
    ...{ code: 1, out: '', questions: [] },
    err: 'parley: There is no such specialist.\n',
  })
  upstream.plan = [{ status: 400 }, { status: 400 }, { status: 400 }, { pieces: ['Now.'] }]
  const lines = (await chat(['hi', '--specialist', 'plain', '--json'])).out.trim().split('\n')
  const [failed, refusal] = lines.slice(-2).map((text) => JSON.parse(text))
  assert.deepEqual([failed.event, failed.data], ['turn.failed', refusal])
  const { code, err } = await chat(['hi', '--specialist', 'plain'])
  assert.equal(code, 1)
  assert.match(err, /^parley: .+\n$/)
  const talk = await chat(['--specialist', 'plain'], { answers: ['one', ' ', 'two'] })
  assert.deepEqual([talk.code, talk.out, talk.questions], [0, 'Now.\n', ['> ', '> ', '> ', '> ']])
  const [, conversation] =
    /^parley: .+\n\nTo go on: parley chat --conversation (conv_[0-9a-f]{32})\n$/.exec(talk.err) ?? []
  assert.ok(conversation, talk.err)
  upstream.requests.length = 0
  await chat(['three', '--conversation', conversation])
  assert.match(JSON.stringify(upstream.requests[0]?.body), /two.+Now\..+three/)
})

/** The model asks for something that waits for approval. */
function waits(): string[] {
  upstream.plan = [
    { toolCalls: [{ name: 'calculate', arguments: '{"expression":"6*7"}' }] },
    { pieces: ['So ', 'be ', 'it.'] },
  ]
  return ['please', '--specialist', 'helper']
}

test('what waits for approval is shown as it is, and is done once somebody says yes', async () => {
  const { code, out, err, questions } = await chat(waits(), { answers: ['perhaps', 'Yes'] })
  assert.deepEqual([code, out], [0, 'So be it.\n'])
  assert.deepEqual(questions, ['Approve calculate? [y/n] ', 'Approve calculate? [y/n] '])
  assert.match(err, /calculate waits for approval until .+:\n\{\n {2}"expression": "6\*7"\n\}\n/)
  assert.match(err, /< calculate succeeded: \{"result":42\}\n$/)
})

test('a no has its reason, which the model is told', async () => {
  const { code, err, questions } = await chat(waits(), { answers: ['n', 'not today'] })
  assert.deepEqual([code, questions.at(-1)], [0, 'Why not? '])
  assert.match(err, /< calculate rejected: .*not today\n$/)
})

test('where nobody sits, approval is waited for, and Ctrl-C takes the call back', async () => {
  let isPressed = false
  const { code, err } = await chat([...waits(), '--json'], {
    onOut: (out, { interrupt }) => {
      if (isPressed || !out.includes('awaiting-approval')) return
      isPressed = true
      interrupt()
    },
  })
  assert.equal(code, 130)
  const [, run] = /^calculate waits for approval, by Action\.Approver: (run_[0-9a-f]{32})\n$/.exec(err) ?? []
  const { body } = await nativeClient(url).call('GET', `/api/v1/runs/${run}/stream`, undefined, {
    accept: 'application/json',
  })
  assert.equal(body.status, 'cancelled')
})
