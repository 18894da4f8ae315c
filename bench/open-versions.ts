/** Opens config versions as a start does, in a process of its own, and tells by IPC what that took. For `config-start.ts`. */
import { setTimeout } from 'node:timers/promises'
import { createLog } from '#log.ts'
import { openBlobStores } from '#platform/blob/open.ts'
import { systemClock } from '#platform/clock.ts'
import { readEnv } from '../src/env.ts'
import { openVersions } from '../src/versions.ts'

export interface Opening {
  readyMs: number
  /** Of all threads, so what else the machine does does not count. */
  cpuMs: number
  known: number
  /** Once all are known. */
  allMs: number
  rssMiB: number
}

const [expected = '0'] = process.argv.slice(2)
const env = readEnv(process.env)
const log = createLog('silent')
const tokens = { token: () => Promise.reject(new Error('No token is expected here.')) }
const blobs = await openBlobStores({ env: env.blob, clock: systemClock, log, tokens })
const rssBefore = process.memoryUsage.rss()
const cpuBefore = process.cpuUsage()
const began = performance.now()
const given = { env, blobs, functions: ['calculate'], clock: systemClock, log, signal: undefined }
const versions = await openVersions(given)
const readyMs = performance.now() - began
const { user, system } = process.cpuUsage(cpuBefore)
const known = versions.list().length
while (versions.list().length < Number(expected)) await setTimeout(100)
const allMs = performance.now() - began
const rssMiB = (process.memoryUsage.rss() - rssBefore) / 2 ** 20
await versions.close()
process.send?.({ readyMs, cpuMs: (user + system) / 1000, known, allMs, rssMiB } satisfies Opening)
process.disconnect?.()
