import { AnswerView } from './answer-view.js'
import { call, follow, readTurn, startTurn } from './turn-client.js'

const byId = (id) => document.getElementById(id)
const [specialist, messages, starters, status, spoken] = ['specialist', 'messages', 'starters', 'status', 'spoken'].map(
  byId,
)
const [composer, message, send, stop] = ['composer', 'message', 'send', 'stop'].map(byId)

/** The conversation is in the address, so that a reload comes back to it. */
let conversation = location.hash.slice(1) || undefined
let turn
/** Scrolling up by hand lets go of the end; only the reader does that. */
let atEnd = true

for (const type of ['wheel', 'touchmove', 'keydown']) {
  messages.addEventListener(type, () => {
    requestAnimationFrame(() => {
      atEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 40
    })
  })
}

function toEnd() {
  if (atEnd) messages.scrollTop = messages.scrollHeight
}

function showUser(text) {
  starters.hidden = true
  const article = messages.appendChild(document.createElement('article'))
  article.className = 'user'
  article.textContent = text
  atEnd = true
  toEnd()
}

function setBusy(busy) {
  send.hidden = busy
  stop.hidden = !busy
  stop.disabled = false
  status.textContent = busy ? 'Answering…' : ''
}

async function answer(open) {
  const view = new AnswerView(messages)
  setBusy(true)
  try {
    const onTurn = (id) => {
      turn = id
    }
    const onBreak = (broken) => {
      if (broken) view.forgetProvisional()
      status.textContent = broken ? 'Reconnecting… nothing is lost.' : 'Answering…'
    }
    for await (const event of follow(open, { onTurn, onBreak })) {
      view.apply(event)
      toEnd()
    }
    spoken.textContent = 'Answer complete.'
  } catch (error) {
    view.fault(error.message)
    offerRetry(open)
  } finally {
    turn = undefined
    setBusy(false)
    toEnd()
  }
}

function offerRetry(open) {
  const retry = document.createElement('button')
  retry.type = 'button'
  retry.textContent = 'Retry'
  retry.addEventListener('click', () => {
    retry.remove()
    void answer(open)
  })
  messages.append(retry)
}

async function ask(text) {
  if (!stop.hidden) return
  showUser(text)
  spoken.textContent = ''
  try {
    if (!conversation) {
      const made = await call('POST', '/api/v1/conversations', { specialist: specialist.value })
      conversation = made.id
      history.replaceState(null, '', `#${conversation}`)
      specialist.disabled = true
    }
  } catch (error) {
    status.textContent = error.message
    return
  }
  await answer(startTurn(conversation, text))
}

composer.addEventListener('submit', (event) => {
  event.preventDefault()
  const text = message.value.trim()
  if (text === '' || !stop.hidden) return
  message.value = ''
  void ask(text)
})

message.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  composer.requestSubmit()
})

/** Leaving the page is not cancelling; this is. */
stop.addEventListener('click', async () => {
  if (!turn) return
  stop.disabled = true
  status.textContent = 'Stopping…'
  await call('POST', `/api/v1/turns/${turn}/cancel`).catch((error) => {
    if (error.code !== 'turn_finished') status.textContent = error.message
    stop.disabled = false
  })
})

starters.addEventListener('click', ({ target }) => {
  if (target instanceof HTMLButtonElement) void ask(target.textContent)
})

byId('fresh').addEventListener('click', () => {
  location.assign(location.pathname)
})

/** Shows what was said, and goes on with a turn that still runs. */
async function restore() {
  const found = await call('GET', `/api/v1/conversations/${conversation}`)
  specialist.value = found.specialist
  specialist.disabled = true
  for (let after = -1; after !== null; ) {
    const page = await call('GET', `/api/v1/conversations/${conversation}/messages?after=${after}`)
    for (const { role, content, toolCalls } of page.items) {
      if (role === 'user') showUser(content)
      else if (role === 'assistant') {
        const view = new AnswerView(messages)
        view.apply({ id: '', type: 'token', data: { text: content } })
        for (const { name, arguments: given } of toolCalls ?? []) {
          view.apply({ id: '', type: 'call', data: { action: name, arguments: given } })
        }
      }
    }
    after = page.next
  }
  toEnd()
  if (!found.liveTurn) return
  turn = found.liveTurn
  showUser((await call('GET', `/api/v1/turns/${turn}`)).message)
  await answer(readTurn(turn))
}

try {
  const { items } = await call('GET', '/api/v1/specialists')
  for (const { id, title } of items) specialist.append(new Option(title ? `${id} · ${title}` : id, id))
  if (conversation) await restore()
} catch (error) {
  status.textContent = error.message
}
message.focus()
