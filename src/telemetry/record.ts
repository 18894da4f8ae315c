import type { Attributes } from '@opentelemetry/api'
import type { CallFigures, EndedTurn, SettledRun, SpentSegment } from './facts.ts'
import { CHAT, genAi, providerName } from './gen-ai.ts'
import type { Counter, Instruments } from './instruments.ts'

/** Above so many tokens a second, a call did not stream: it came at once, and tells nothing of speed. */
const FASTEST = 10_000

/**
 * Records facts. The series that a fact counts in are found together, by what their attributes are made of: a fact of a kind that
 * was seen before makes no attributes.
 */
export class Recording {
  readonly #instruments: Instruments
  readonly #turns = new Map<string, ReturnType<typeof turnSeries>>()
  readonly #spent = new Map<string, ReturnType<typeof spentSeries>>()
  readonly #calls = new Map<string, ReturnType<typeof callSeries>>()
  readonly #runs = new Map<string, Counter>()

  constructor(instruments: Instruments) {
    this.#instruments = instruments
  }

  /** Everything that is recorded of a turn, once, at its end. */
  turn(turn: EndedTurn): void {
    const { config, arm, status, code, addressee, firstTokenMs } = turn
    const kind = `${config}\n${arm}\n${addressee}\n${status}\n${code}`
    const { ended, duration, firstToken } = this.#turns.getOrInsertComputed(kind, () =>
      turnSeries(this.#instruments, turn),
    )
    ended.add(1)
    duration.record(Math.max(0, turn.endedAt - turn.startedAt) / 1000)
    if (firstTokenMs !== null) firstToken.record(firstTokenMs)
    for (const segment of turn.segments) this.#segment(segment, turn)
  }

  #segment(segment: SpentSegment, { config, arm }: Served): void {
    const { model, inputTokens, outputTokens, costUsd, call } = segment
    const kind = `${config}\n${arm}\n${model}`
    const spent = this.#spent.getOrInsertComputed(kind, () => spentSeries(this.#instruments, { config, arm, model }))
    spent.input.add(inputTokens)
    spent.output.add(outputTokens)
    spent.cost.add(costUsd)
    if (!call) return
    const { firstTokenMs, durationMs } = call
    const errorType = errorTypeOf(call)
    const called = this.#calls.getOrInsertComputed(`${kind}\n${call.provider}\n${errorType}`, () =>
      callSeries(this.#instruments, { config, arm, model, provider: call.provider, errorType }),
    )
    called.duration.record(durationMs / 1000)
    called.input.record(inputTokens)
    called.output.record(outputTokens)
    if (firstTokenMs === undefined) return
    called.firstChunk.record(firstTokenMs / 1000)
    if (outputTokens < 2) return
    const betweenMs = Math.max(0, durationMs - firstTokenMs) / (outputTokens - 1)
    if (betweenMs < 1000 / FASTEST) return
    called.perChunk.record(betweenMs / 1000)
    called.between.record(betweenMs)
    called.speed.record(1000 / betweenMs)
  }

  /** A model may call what is no action at all, so names that no config has are counted as one. */
  run(run: SettledRun, isAction: (name: string) => boolean): void {
    const { status, reason, config, arm } = run
    const action = isAction(run.action) ? run.action : 'unknown'
    const attributes = { action, status, config, arm, ...(reason !== null && { reason }) }
    const kind = JSON.stringify(attributes)
    this.#runs
      .getOrInsertComputed(kind, () => this.#instruments.counter('parley_runs_settled_total', attributes))
      .add(1)
  }
}

type Served = Pick<EndedTurn, 'config' | 'arm'>

function turnSeries({ counter, histogram }: Instruments, { config, arm, addressee, status, code }: EndedTurn) {
  const served = { config, arm }
  const ended: Attributes = { ...served, addressee, status, ...(code !== null && { [genAi.errorType]: code }) }
  return {
    ended: counter('parley_turns_total', ended),
    duration: histogram('parley_turn_duration_seconds', { ...served, addressee, status }),
    firstToken: histogram('ai_first_token_duration_ms', { ...served, addressee }),
  }
}

function spentSeries({ counter }: Instruments, asked: Served & { model: string }) {
  return {
    input: counter('ai_tokens_total', { ...asked, direction: 'input' }),
    output: counter('ai_tokens_total', { ...asked, direction: 'output' }),
    cost: counter('ai_cost_total', asked),
  }
}

type Asked = Served & { model: string; provider: string; errorType: string | undefined }

function callSeries({ histogram }: Instruments, { config, arm, model, provider, errorType }: Asked) {
  const served = { config, arm }
  const asked = {
    ...served,
    [genAi.operation]: CHAT,
    [genAi.provider]: providerName(provider),
    [genAi.model]: model,
  }
  return {
    duration: histogram(genAi.duration, { ...asked, ...(errorType && { [genAi.errorType]: errorType }) }),
    input: histogram(genAi.tokenUsage, { ...asked, [genAi.tokenType]: 'input' }),
    output: histogram(genAi.tokenUsage, { ...asked, [genAi.tokenType]: 'output' }),
    firstChunk: histogram(genAi.timeToFirstChunk, asked),
    perChunk: histogram(genAi.timePerOutputChunk, asked),
    between: histogram('ai_inter_token_duration_ms', { ...served, model }),
    speed: histogram('ai_tokens_per_second', { ...served, model }),
  }
}

function errorTypeOf({ outcome, reason }: CallFigures): string | undefined {
  return outcome === 'completed' ? undefined : (reason ?? outcome)
}
