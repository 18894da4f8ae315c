import type { Job } from './jobs.ts'
import { TO } from './parley.ts'

/** The loads of the chat bench. Sizes are for one run of about two seconds. */
export const MODES = {
  'first token': {
    what: 'one stream at a time',
    load: { streams: 200, atOnce: 1, plan: { tokens: 4, rate: 0, burst: 1 } },
  },
  short: {
    what: '32 at once, answers of 8 tokens in one write',
    load: { streams: 2000, atOnce: 32, plan: { tokens: 8, rate: 0, burst: 8 } },
  },
  dense: {
    what: '64 streams at once, 400 tokens each, as fast as they come',
    load: { streams: 192, atOnce: 64, plan: { tokens: 400, rate: 0, burst: 1 } },
  },
  paced: {
    what: '200 streams at once, 40 tokens/s each',
    load: { streams: 200, atOnce: 200, rampMs: 250, plan: { tokens: 80, rate: 40, burst: 1 } },
  },
  thousand: {
    what: '1,000 streams at once, 60 tokens/s each in 15 writes',
    load: { streams: 1000, atOnce: 1000, rampMs: 1000, plan: { tokens: 180, rate: 60, burst: 4 } },
  },
  cancel: {
    what: '10 streams at once, given up after 5 tokens',
    load: { streams: 100, atOnce: 10, cancelAfter: 5, plan: { tokens: 200, rate: 50, burst: 1 } },
  },
  idle: {
    what: '1,000 streams held, a token every 2 s, in a fresh process',
    load: { streams: 1000, atOnce: 1000, rampMs: 1000, holdMs: 1500, plan: { tokens: 20, rate: 0.5, burst: 1 } },
  },
} satisfies Record<string, { what: string; load: Load }>

export type Mode = keyof typeof MODES
type Load = Pick<Job, 'streams' | 'atOnce' | 'cancelAfter' | 'holdMs'> & {
  rampMs?: number
  plan: Pick<Job['plan'], 'tokens' | 'rate' | 'burst'>
}

/** A quarter of the streams when it has to be quick. */
export function jobOf(mode: Mode, target: Pick<Job, 'dialect' | 'url' | 'upstreamUrl'>, quick: boolean): Job {
  const { plan, ...load }: Load = MODES[mode].load
  const part = quick ? 4 : 1
  return {
    to: TO[target.dialect].mock,
    rampMs: 0,
    ...load,
    ...target,
    streams: load.streams / part,
    atOnce: Math.ceil(load.atOnce / part),
    plan: { ...plan, delayMs: 0 },
  }
}
