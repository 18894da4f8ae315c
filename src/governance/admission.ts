import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'

/** The gate before every turn and every relayed request. */
export interface Admission {
  /** Takes a place, or throws overloaded. */
  admit(principal: Principal): Admitted
}

export interface Admitted {
  /** Gives the place back; once, further calls do nothing. */
  release(): void
}

/** Bounds what one replica takes on at once. */
export function createAdmission(options: { atOnce: number }): Admission {
  let taken = 0
  return {
    admit() {
      if (taken >= options.atOnce) throw new ParleyError('overloaded', { retryAfterMs: 1000 })
      taken += 1
      let held = true
      return {
        release() {
          if (held) taken -= 1
          held = false
        },
      }
    },
  }
}
