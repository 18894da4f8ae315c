import { drawn } from '../drawing.ts'
import { exchanges } from '../exchange.ts'
import { type Ground, LISTED } from '../ground.ts'
import { Browsers } from './browsers.ts'
import { anyStep } from './steps.ts'

/** Sends that many requests to what signs people in and out, by several browsers and by who has what is not theirs. */
export async function fuzzSignIns(ground: Ground, requests: number, seed: number): Promise<void> {
  const exchange = exchanges(ground.app.url, 5)
  const browsers = new Browsers(ground, exchange, requests, LISTED)
  try {
    for (const step of drawn(anyStep, Number.POSITIVE_INFINITY, seed)) {
      await browsers.take(step)
      if (browsers.asked >= requests) break
    }
  } finally {
    exchange.close()
  }
  await ground.conclude(exchange.ports)
}
