import { createLog } from '#log.ts'
import type { Answer, AnswerRequest, Candidate } from '#models/answer.ts'
import { createModels } from '#models/create.ts'
import { manualClock } from './clock.ts'
import { answerRequest, recordingSink, scriptedProvider } from './scripted-provider.ts'

/** `models/` over a provider that is played by hand and a clock that is turned by hand; a token is a character. */
export function modelsAtHand() {
  const clock = manualClock()
  const script = scriptedProvider()
  const models = createModels({
    providers: script,
    clock,
    log: createLog('silent'),
    random: () => 0,
    counter: {
      countTokens: async (text) => text.length,
      countMessages: async (messages) => messages.length * 100,
    },
  })

  /** Starts an answer, whose rejection is not unhandled when nobody looks. */
  const ask = (candidates: readonly Candidate[], more: Partial<AnswerRequest> = {}) => {
    const abort = new AbortController()
    const sink = recordingSink()
    const answer: Promise<Answer> = models.answer(answerRequest(candidates, { signal: abort.signal, ...more }), sink)
    answer.catch(() => {})
    return { sink, answer, abort }
  }

  /** Answers of which each is refused with this status. */
  const refuse = async (times: number, candidates: readonly Candidate[], status = 500) => {
    for (let time = 0; time < times; time++) {
      const opened = script.opened(script.calls.length + 1)
      const { answer } = ask(candidates)
      const call = await opened
      call.refuse(status)
      await answer.catch(() => {})
    }
  }

  return { clock, script, models, ask, refuse }
}
