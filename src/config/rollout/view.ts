import type { RolloutFigures, RolloutView } from '../rollouts.ts'
import type { RolloutState } from './state.ts'
import type { Waiting } from './waiting.ts'

/** What the last look at the counters came to. */
export interface Verdict {
  decision: RolloutView['verdict']['decision']
  sentence: string
  figures: RolloutFigures | null
}

export function viewOf(
  state: RolloutState,
  {
    verdict,
    waiting,
    diverged,
    ...known
  }: {
    etag: string
    verdict: Verdict | undefined
    waiting: readonly Waiting[]
    leader: boolean
    reachable: boolean
    unreadable: boolean
    diverged: RolloutState | undefined
  },
): RolloutView {
  const { live, stable } = state
  return {
    ...known,
    diverged: diverged ? strayOf(diverged) : null,
    epoch: state.epoch,
    stable,
    live: live && withoutSalt(live),
    verdict: {
      decision: (live && verdict?.decision) ?? 'hold',
      sentence: live
        ? (verdict?.sentence ?? `Hold: ${live.candidate.version} has just come this far, and is judged within seconds.`)
        : `No rollout is live: ${stable.version} serves everyone.`,
    },
    figures: live && (verdict?.figures ?? null),
    waiting: waiting.map(({ version, reason }) => ({ version, reason })),
    finished: state.finished,
  }
}

function strayOf({ epoch, last, stable, live }: RolloutState): NonNullable<RolloutView['diverged']> {
  return { epoch, at: last.at, stable, candidate: live?.candidate ?? null }
}

/** Who knows the salt can choose an id that is drawn as he likes. */
function withoutSalt<Live extends { salt: string }>({ salt: _, ...live }: Live): Omit<Live, 'salt'> {
  return live
}
