import type { Receipt } from '#chat/turn-events.ts'
import type { Segment } from '#models/answer.ts'
import type { ScriptedTurn } from './scripted-chat.ts'

type SegmentOfStep = Receipt['segments'][number]

export function segment(more: Partial<SegmentOfStep> = {}): SegmentOfStep {
  const base: Segment = {
    model: 'primary',
    provider: 'offline',
    inputTokens: 10,
    cachedTokens: 4,
    outputTokens: 5,
    costUsd: 0.001,
    estimated: false,
    outcome: 'completed',
    durationMs: 1,
  }
  return { step: 0, ...base, ...more }
}

/** What a turn that is scripted ends with. */
export function receipt({ view }: ScriptedTurn, segments: readonly SegmentOfStep[] = [segment()]): Receipt {
  return {
    turn: view.id,
    conversation: null,
    specialist: view.specialist,
    config: { version: view.config, hash: '0', arm: 'stable' },
    segments: [...segments],
    runs: [],
    steps: 1,
    inputTokens: 0,
    outputTokens: 0,
    costUsd: 0,
    startedAt: '',
    endedAt: '',
  }
}

/** A turn that calls an action of ours between two pieces of text, and completes. */
export function playWithAction(turn: ScriptedTurn): void {
  turn.emit('turn.started', { turn: turn.id })
  turn.emit('token', { text: 'Let me see. ', model: 'primary' })
  turn.emit('usage', segment())
  turn.emit('call', { step: 0, index: 0, action: 'calculate', arguments: '{}' })
  turn.emit('run', { id: 'run_1', action: 'calculate', status: 'succeeded', step: 0, index: 0, output: '42' })
  turn.emit('token', { text: 'It is ' })
  turn.emit('token', { text: '42.' })
  turn.emit('turn.completed', { finish: 'stop', receipt: receipt(turn, [segment(), segment({ step: 1 })]) })
}
