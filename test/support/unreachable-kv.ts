import { ParleyError } from '#errors.ts'
import type { Kv } from '#platform/kv/kv.ts'

/**
 * reachable: as it is · away: every operation is refused, none is done · deaf: every operation is done, its answer lost ·
 * silent: operations wait until that changes, and then go the way of the new reach
 */
export type Reach = 'reachable' | 'away' | 'deaf' | 'silent'

/** A store that gets out of reach on command. */
export interface UnreachableKv {
  readonly kv: Kv
  /** Names of the operations asked for, in order; tried again is asked again. */
  readonly asked: string[]
  reach(how: Reach): void
}

export function unreachableKv(kv: Kv): UnreachableKv {
  const asked: string[] = []
  let reach: Reach = 'reachable'
  let change = Promise.withResolvers<void>()

  const run: Kv['run'] = async (operation, keys, args) => {
    while (reach === 'silent') await change.promise
    if (reach === 'away') throw new ParleyError('state_unavailable')
    const result = await kv.run(operation, keys, args)
    if (reach === 'deaf') throw new ParleyError('state_unavailable')
    return result
  }

  return {
    kv: {
      ...kv,
      run: (operation, keys, args) => {
        asked.push(operation.name)
        return run(operation, keys, args)
      },
    },
    asked,
    reach: (how) => {
      reach = how
      change.resolve()
      change = Promise.withResolvers()
    },
  }
}
