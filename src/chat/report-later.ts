import type { Owner } from '#identity/principal.ts'
import type { ChatRoom } from './turn-context.ts'

/** Has what comes of the runs of a lost turn reported, by a turn of its own. Never rejects. */
export async function reportLater(
  { actions, log }: Pick<ChatRoom, 'actions' | 'log'>,
  owner: Owner,
  turn: string,
): Promise<void> {
  try {
    await actions.reportLater(owner, turn)
  } catch (error) {
    log.warn({ turn, err: error }, 'What comes of the runs of a lost turn is reported to nobody')
  }
}
