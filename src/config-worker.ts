/** The thread that reads and validates config versions, beside what is served: started by `app.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import { serveLoads } from '#config/versions/serve-loads.ts'
import { type ConfigCheckEnv, configChecks } from './config-checks.ts'

const env: ConfigCheckEnv = workerData
if (parentPort) serveLoads(parentPort, configChecks(env))
