import { AnswerView } from './answer-view.js'
import { askAbout, askAgain } from './judgement.js'
import { call, follow, load, Refusal, readTurn } from './turn-client.js'

const byId = (id) => document.getElementById(id)
const [specialist, messages, starters, status, spoken] = ['specialist', 'messages', 'starters', 'status', 'spoken'].map(
  byId,
)
const [composer, message, send, stop] = ['composer', 'message', 'send', 'stop'].map(byId)

/** The id of the conversation that is shown, also in the address, so that a reload comes back to it. */
let conversation
/** The answer under way: how to leave it, the id of its turn once known, and whether it shall stop. */
let live
/** Scrolling up by hand lets go of the end; only the reader does that. */
let atEnd = true

for (const type of ['wheel', 'touchmove', 'keydown']) {
  messages.addEventListener(type, () => {
    requestAnimationFrame(() => {
      atEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 40
    })
  })
}

composer.addEventListener('submit', (event) => {
  event.preventDefault()
  const text = message.value.trim()
  if (text === '' || live) return
  message.value = ''
  void say(text)
})

message.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  composer.requestSubmit()
})

starters.addEventListener('click', ({ target }) => {
  if (target instanceof HTMLButtonElement && !live) void say(target.textContent)
})

stop.addEventListener('click', () => void cancel())

addEventListener('keydown', (event) => {
  if (event.key === 'Escape') void cancel()
})

byId('fresh').addEventListener('click', () => {
  if (location.hash) history.pushState(null, '', location.pathname)
  void show('')
  message.focus()
})

addEventListener('hashchange', () => void show(location.hash.slice(1)))

/** Whatever comes, also what was fetched for it later, such as what an approval is for. */
new MutationObserver(toEnd).observe(messages, { childList: true, subtree: true, characterData: true })

function toEnd() {
  if (atEnd) messages.scrollTop = messages.scrollHeight
}

function setLive(answer, text = '') {
  live = answer
  send.hidden = Boolean(answer)
  stop.hidden = !answer
  askAbout(undefined)
  status.textContent = text
}

function addMessage(text) {
  starters.hidden = true
  const article = messages.appendChild(document.createElement('article'))
  article.className = 'user'
  article.textContent = text
  atEnd = true
  return article
}

/** The key makes a message that is sent again the same message. */
function say(text, key = crypto.randomUUID()) {
  const article = addMessage(text)
  const ask = async ({ headers, signal }) => {
    if (!conversation) {
      const made = await call('POST', '/api/v1/conversations', { body: { specialist: specialist.value }, signal })
      conversation = (await made.json()).id
      history.replaceState(null, '', `#${conversation}`)
      specialist.disabled = true
    }
    const path = `/api/v1/conversations/${conversation}/turns`
    return call('POST', path, { body: { message: text }, headers: { ...headers, 'idempotency-key': key }, signal })
  }
  return answer(ask, (turn) => {
    if (turn) return say(text)
    article.remove()
    return say(text, key)
  })
}

/** Shows an answer as it comes. `again` is offered when it fails; it is told the turn, if one was begun. */
async function answer(open, again) {
  for (const stale of messages.querySelectorAll('.fault button')) stale.remove()
  const view = new AnswerView(messages, onSettled)
  const mine = { leave: new AbortController(), turn: undefined, stopping: false }
  const { signal } = mine.leave
  let isComplete = false
  setLive(mine, 'Answering…')
  spoken.textContent = ''
  const onBreak = () => {
    view.forgetProvisional()
    if (!signal.aborted) status.textContent = 'Reconnecting… nothing is lost.'
  }
  try {
    for await (const event of follow(open, { onBreak, signal })) {
      view.apply(event)
      status.textContent = mine.stopping ? 'Stopping…' : view.waits ? 'Waiting for approval…' : 'Answering…'
      if (!mine.turn) {
        mine.turn = event.turn
        if (mine.stopping) void cancel()
      }
      isComplete = event.id !== undefined && event.type === 'turn.completed'
      if (event.id && event.type === 'turn.failed') throw new Refusal(event.data.error, event.response)
    }
    spoken.textContent = 'Answer complete.'
  } catch (error) {
    if (signal.aborted) return
    view.fault(describe(error), () => {
      if (!mine.turn) view.remove()
      message.focus()
      void again(mine.turn)
    })
  } finally {
    if (live === mine) {
      setLive(undefined)
      if (isComplete) askAbout(mine.turn)
    }
  }
}

/** Leaving the page is not cancelling; this is. What comes of it is told by the stream. */
async function cancel() {
  if (!live) return
  live.stopping = true
  status.textContent = 'Stopping…'
  if (!live.turn) return
  await call('POST', `/api/v1/turns/${live.turn}/cancel`).catch((error) => {
    if (live && error.code !== 'turn_finished') status.textContent = describe(error)
  })
}

/** Shows a conversation from its beginning, a running answer included; '' for one that is still to begin. */
async function show(id) {
  if (id !== '' && id === conversation) return
  live?.leave.abort()
  setLive(undefined)
  conversation = id || undefined
  for (const article of messages.querySelectorAll('article')) article.remove()
  starters.hidden = Boolean(id)
  specialist.disabled = Boolean(id)
  if (!id) return
  try {
    await restore(id)
  } catch (error) {
    if (conversation !== id) return
    conversation = undefined
    specialist.disabled = false
    new AnswerView(messages).fault(describe(error), () => void show(id))
  }
}

async function restore(id) {
  const path = `/api/v1/conversations/${encodeURIComponent(id)}`
  const { specialist: partner, liveTurn } = await load(path)
  const said = []
  for (let after = -1; after !== null; ) {
    const page = await load(`${path}/messages?after=${after}&limit=500`)
    said.push(...page.items)
    after = page.next
  }
  const running = liveTurn && said.every(({ turn }) => turn !== liveTurn) && (await load(`/api/v1/turns/${liveTurn}`))
  const pending = await load('/api/v1/runs?whose=mine&status=awaiting-approval&limit=100').catch(() => ({ items: [] }))
  if (conversation !== id) return
  specialist.value = partner
  showSaid(said)
  showPending(pending.items.filter((run) => run.conversation === id && run.turn !== running?.id))
  const isStill = () => conversation === id && !live
  if (!running && said.length > 0) void askAgain(said.at(-1).turn, isStill).catch(() => {})
  if (!running) return
  if (running.message) addMessage(running.message)
  void answer(readTurn(liveTurn), () => say(running.message))
}

function showSaid(said) {
  let view
  for (const { role, kind, content, toolCalls = [], callId, complete } of said) {
    if (role === 'user') {
      if (kind !== 'follow-up') addMessage(content)
      view = new AnswerView(messages)
    } else if (role === 'tool') {
      view.settle(callId, 'done', content)
    } else {
      if (content) view.say(content)
      for (const { id, name, arguments: given } of toolCalls) view.call(id, name, given)
      if (complete === false) view.aside('This answer is not complete.')
    }
  }
}

function showPending(runs) {
  if (runs.length === 0) return
  const view = new AnswerView(messages, onSettled)
  for (const { id, action, arguments: given, argumentsHash } of runs) {
    view.call(id, action, JSON.stringify(given))
    view.ask(id, id, argumentsHash)
  }
}

/** Where this fails, a reload shows it. */
const onSettled = (run) => void awaitReport(run).catch(() => {})

/** What came of a run after its turn is told by a turn of its own, soon. */
async function awaitReport({ settledAt }) {
  const id = conversation
  for (let tries = 0; tries < 20 && id && conversation === id && !live; tries += 1) {
    const { liveTurn, updatedAt } = await load(`/api/v1/conversations/${encodeURIComponent(id)}`)
    if (conversation !== id || live) return
    if (liveTurn || updatedAt >= settledAt) {
      conversation = undefined
      return show(id)
    }
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

function describe(error) {
  return error instanceof Refusal ? error.message : 'The server cannot be reached.'
}

/** The way back leads here again, to the conversation that is shown. */
function offerSignIn() {
  starters.hidden = true
  composer.hidden = true
  const link = messages.appendChild(document.createElement('p')).appendChild(document.createElement('a'))
  link.id = 'sign-in'
  link.href = `/auth/login?return=${encodeURIComponent(location.pathname + location.hash)}`
  link.textContent = 'Sign in'
  link.focus()
}

/** Whoever sits at this machine needs no telling, and cannot leave. */
async function showAccount() {
  const { tenant, name } = await load('/api/v1/me')
  if (tenant === 'local') return
  byId('name').textContent = name
  byId('account').hidden = false
  byId('leave').addEventListener('click', async () => {
    try {
      await call('POST', '/auth/logout')
    } catch (error) {
      // 401: there is no session any more, which is what was asked for.
      if (error.status !== 401) {
        status.textContent = `Signing out failed. ${describe(error)}`
        return
      }
    }
    location.reload()
  })
}

async function start() {
  try {
    const { items } = await load('/api/v1/specialists')
    for (const { id, title } of items) specialist.append(new Option(`${id} · ${title}`, id))
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) return offerSignIn()
    new AnswerView(messages).fault(describe(error), () => location.reload())
    return
  }
  void showAccount().catch(() => {})
  await show(location.hash.slice(1))
  message.focus()
}

void start()
