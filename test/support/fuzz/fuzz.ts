import { fuzzCrossOrigin } from './cross-origin.ts'
import { type FuzzReport, startGround } from './ground.ts'
import { fuzzHttp } from './http.ts'
import { fuzzSignIns } from './sign-in/sign-ins.ts'
import { fuzzWebSockets } from './web-socket/web-sockets.ts'

/** What is drawn, from what is documented of it. */
export const fuzzParts = {
  http: fuzzHttp,
  websocket: fuzzWebSockets,
  'sign-in': fuzzSignIns,
  'cross-origin': fuzzCrossOrigin,
} as const

export type FuzzPart = keyof typeof fuzzParts

export interface FuzzOptions {
  part: FuzzPart
  requests: number
  seed: number
  /** Ids of those to draw from; all when empty. */
  operations?: readonly string[]
  /** Of engines that the app is to use instead of the embedded ones. */
  variables?: Record<string, string>
}

/** Sends that many requests to the whole app behind Entra ID. */
export async function fuzz({ part, requests, seed, operations, variables }: FuzzOptions): Promise<FuzzReport> {
  await using ground = await startGround(variables)
  await fuzzParts[part](ground, requests, seed, operations)
  return ground.report()
}
