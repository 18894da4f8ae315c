import { randomUUID } from 'node:crypto'
import type { Conversation } from '#conversations/conversations.ts'
import { showAnswer } from './chat-answer.ts'
import { readTurn } from './chat-stream.ts'
import type { Call, Command, Person } from './command.ts'
import { Cancelled, Misused, Refused } from './faults.ts'
import { plainText } from './plain-text.ts'

const conversations = '/api/v1/conversations'
const ID = { type: 'string' } as const

export const chatCommand: Command = {
  operands: ['[<message>]'],
  flags: '[--specialist <id>] [--conversation <id>] [--resume <event id>]',
  summary:
    'one answer to a message, given or piped in; without any, a conversation. Ctrl-C cancels a turn, leaving does not',
  options: { specialist: ID, conversation: ID, resume: ID },
  run: chat,
}

async function chat(call: Call): Promise<void> {
  const { host, operand, text } = call
  const given = ['resume', 'conversation', 'specialist'].filter((option) => text(option) !== undefined)
  if (given.length > 1) throw new Misused(`Give one of ${given.map((option) => `--${option}`).join(' and ')}.`)
  const event = text('resume')
  if (event !== undefined) return resume(call, event)
  const { person } = host
  const message = operand(0) || (person ? '' : await host.input())
  if (message.trim() === '' && !person) throw new Misused('Give a message, or pipe one in.')
  const conversation = await conversationOf(call)
  if (message.trim() !== '') return say(call, conversation, message)
  if (person) await converse(call, conversation, person)
}

function resume(call: Call, event: string): Promise<void> {
  const [, turn, position] = /^(turn_[0-9a-f]{32})(\.\d{1,15})?$/.exec(event) ?? []
  if (turn === undefined) throw new Misused('--resume takes the id of an event, or of a turn.')
  return showAnswer(call, { open: readTurn(call.client, turn), ...(position !== undefined && { after: event }) })
}

/** The one that is named, or a new one. */
async function conversationOf({ client, text }: Call): Promise<string> {
  const named = text('conversation')
  if (named !== undefined) {
    const { body } = await client.ask<Conversation>('GET', `${conversations}/${encodeURIComponent(named)}`)
    return body.id
  }
  const specialist = text('specialist') ?? (await firstSpecialist(client))
  const { body } = await client.ask<Conversation>('POST', conversations, { body: { specialist } })
  return body.id
}

async function firstSpecialist(client: Call['client']): Promise<string> {
  const { body } = await client.ask<{ items: { id: string }[] }>('GET', '/api/v1/specialists')
  const [first] = body.items
  if (!first) throw new Misused('No specialist is there to talk to.')
  return first.id
}

/** The key makes a message that is sent again, because nobody answered, the same message. */
function say(call: Call, conversation: string, message: string): Promise<void> {
  const key = randomUUID()
  return showAnswer(call, {
    open: ({ headers, signal }) =>
      call.client.open('POST', `${conversations}/${conversation}/turns`, {
        body: { message },
        headers: { ...headers, 'idempotency-key': key },
        signal,
      }),
  })
}

/** Until there is nothing more to say; what is refused or cancelled ends a turn, not the conversation. */
async function converse(call: Call, conversation: string, person: Person): Promise<void> {
  const { host } = call
  for (;;) {
    const message = await person.ask('> ', host.signal)
    if (message === undefined) break
    if (message.trim() === '') continue
    try {
      await say(call, conversation, message)
    } catch (error) {
      if (error instanceof Refused) host.err(`parley: ${plainText(error.message)}\n`)
      else if (!(error instanceof Cancelled)) throw error
    }
  }
  host.err(`\nTo go on: parley chat --conversation ${conversation}\n`)
}
