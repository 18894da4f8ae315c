import type { TurnEnded } from '#events/events.ts'
import type { ChatRoom } from './turn-context.ts'

/** Has what outlives a turn that ended kept. False where that could not be: it is told again then. Never rejects. */
export async function settle({ settled, log }: Pick<ChatRoom, 'settled' | 'log'>, fact: TurnEnded): Promise<boolean> {
  try {
    await settled?.(fact)
    return true
  } catch (error) {
    const { turn, config, arm } = fact
    log.warn({ turn, config, arm, err: error }, 'What a turn cost could not be kept; it is told again')
    return false
  }
}
