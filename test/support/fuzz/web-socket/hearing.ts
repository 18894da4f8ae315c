import type { Ground } from '../ground.ts'
import { type Caller, hiddenMarks } from '../known.ts'
import type { Expected, Message } from './calls.ts'
import { type Answer, answerWrongs, errorWrongs, textWrongs } from './message-wrongs.ts'

/** What a colleague has asked for is shown to who may approve it. */
const OF_RUNS = new Set(['approve', 'reject'])
/** A call without an id, by itself or in a batch. */
const SILENT = /\{"jsonrpc":"2.0","method"/
const ID = /\b(?:conv|turn|run)_[0-9a-z]{20,}\b/g
const EVENT_ID = /^(turn_\w+)\.(\d+)$/

/** What one connection owes its peer, and whether what it says is in order. */
export class Hearing {
  readonly #ground: Ground
  readonly #who: Caller
  readonly #tell: (wrong: string) => void
  #asked = ''
  /** What asked for events may not be answered. */
  #isSilent = false
  /** By id. */
  readonly #singles = new Map<string, { expected: Expected[]; answers: Answer[] }>()
  #batches: (readonly Expected[])[] = []
  /** Of the turns that are followed, the position that came last. */
  readonly #positions = new Map<string, number | undefined>()

  constructor(ground: Ground, who: Caller, tell: (wrong: string) => void) {
    this.#ground = ground
    this.#who = who
    this.#tell = tell
  }

  get owed(): number {
    const singles = this.#singles
      .values()
      .reduce((sum, { expected, answers }) => sum + expected.length - answers.length, 0)
    return singles + this.#batches.length
  }

  /** `text`: the message as it is sent. */
  sends({ isBatch, answers }: Message, text: string): void {
    this.#asked += text
    this.#isSilent ||= SILENT.test(text)
    if (isBatch && answers.length > 0) this.#batches.push(answers)
    else if (!isBatch)
      for (const answer of answers)
        this.#singles
          .getOrInsertComputed(answer.id, () => ({ expected: [], answers: [] }))
          .expected.push({
            ...answer,
            ids: text.match(ID) ?? [],
          })
  }

  hears(text: string): void {
    for (const wrong of textWrongs(text)) this.#tell(wrong)
    const foreign = this.#ground.known.foreignId(this.#who, this.#asked, text)
    if (foreign) this.#tell('an id of the other tenant')
    let message: Answer | Answer[]
    try {
      message = JSON.parse(text)
    } catch {
      return this.#tell('a message that is not JSON')
    }
    const expected = Array.isArray(message) ? this.#hearBatch(message) : this.#hearOne(message)
    const path = expected.some(({ method }) => OF_RUNS.has(method ?? '')) ? '/api/v1/runs' : '/api/v1/turns'
    for (const [mark, what] of hiddenMarks(this.#ground.callers, this.#who, path))
      if (text.includes(mark)) this.#tell(what)
    this.#ground.known.keep(this.#who, '/ws', text, undefined)
  }

  #hearOne(message: Answer): readonly Expected[] {
    if (message.method !== undefined) {
      this.#hearNotification(message)
      return []
    }
    const id = JSON.stringify(message.id)
    const { expected, answers } = this.#singles.getOrInsertComputed(id, () => ({ expected: [], answers: [] }))
    this.#follows(message)
    answers.push(message)
    const { length } = expected
    if (answers.length > length) this.#tell('an answer that nobody waits for')
    const asked = [...expected]
    if (answers.length < length) return asked
    // Several may have been asked under the same id, and are answered in any order.
    const order = this.#inOrder(answers, expected) ?? expected
    for (const [at, answer] of answers.entries()) this.#check(answer, order[at])
    this.#singles.delete(id)
    return asked
  }

  /** Which answer is to which call, so that all fit. */
  #inOrder([answer, ...others]: readonly Answer[], expected: readonly Expected[]): Expected[] | undefined {
    if (!answer) return []
    for (const each of expected) {
      if (!answerWrongs(answer, each, this.#ground.document.misfit).next().done) continue
      const rest = this.#inOrder(
        others,
        expected.filter((other) => other !== each),
      )
      if (rest) return [each, ...rest]
    }
    return undefined
  }

  #hearBatch(answers: readonly Answer[]): readonly Expected[] {
    const ids = answers.map(({ id }) => JSON.stringify(id)).join()
    const at = this.#batches.findIndex((batch) => batch.map(({ id }) => id).join() === ids)
    const [batch = []] = at === -1 ? [] : this.#batches.splice(at, 1)
    if (batch.length === 0) this.#tell('a batch of answers that nobody waits for')
    for (const [index, answer] of answers.entries()) {
      this.#follows(answer)
      this.#check(answer, batch[index])
    }
    return batch
  }

  #check(answer: Answer, expected: Expected | undefined): void {
    for (const wrong of answerWrongs(answer, expected, this.#ground.document.misfit)) this.#tell(wrong)
    const foreign = expected?.ids?.find((id) => this.#ground.known.isForeign(this.#who, id))
    if (foreign && answer.result !== undefined) this.#tell(`${expected?.method} with what the other tenant has`)
  }

  /** What an answer says of a turn holds as soon as it is there, whichever call it is to. */
  #follows({ result }: Answer): void {
    const { turn, arm } = Object(result) as { turn?: unknown; arm?: unknown }
    if (typeof turn === 'string' && typeof arm === 'string') this.#positions.set(turn, undefined)
  }

  #hearNotification({ jsonrpc, method, params }: Answer): void {
    const { turn, id, event, error } = params ?? {}
    if (jsonrpc !== '2.0' || typeof turn !== 'string') return this.#tell('a notification that is none')
    if (!this.#isSilent && !this.#positions.has(turn)) this.#tell('events of a turn before the answer that tells of it')
    if (method === 'turn.interrupted') {
      for (const wrong of errorWrongs('turn.interrupted', error ?? {})) this.#tell(wrong)
      return
    }
    if (method !== 'turn.event' || typeof event !== 'string') return this.#tell(`a notification ${method}`)
    const [, of, position] = EVENT_ID.exec(String(id)) ?? []
    if (id === null) return
    if (of !== turn) return this.#tell('an event whose id is not of its turn')
    const last = this.#positions.get(turn)
    if (!this.#isSilent && last !== undefined && event !== 'snapshot' && Number(position) !== last + 1)
      this.#tell('events out of order, or not all of them')
    this.#positions.set(turn, Number(position))
  }
}
