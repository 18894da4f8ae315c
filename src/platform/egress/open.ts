import { ParleyError } from '#errors.ts'
import { createEgress, type Egress, type EgressOptions } from './egress.ts'
import { createEgressFetch, type EgressFetch } from './fetch.ts'

/** Both ways to call out, under the same rules. */
export interface OpenedEgress {
  egress: Egress
  streaming: EgressFetch
}

/** Throws environment_invalid when a host or a range cannot be read. */
export function openEgress(options: EgressOptions): OpenedEgress {
  try {
    return { egress: createEgress(options), streaming: createEgressFetch(options) }
  } catch (error) {
    const message = `PARLEY_EGRESS_HOSTS or PARLEY_EGRESS_PRIVATE: ${error instanceof Error ? error.message : ''}`
    throw new ParleyError('environment_invalid', { message, cause: error })
  }
}
