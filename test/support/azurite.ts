import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A real Azurite, its blobs in memory. */
export interface Azurite extends AsyncDisposable {
  readonly port: number
  readonly connectionString: string
  /** As if `ms` had passed. */
  advance(ms: number): Promise<void>
}

export const azuriteAccount = 'devstoreaccount1'
/** The one that is published with Azurite, and that every Azurite has. */
export const azuriteKey = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='

/** The account as seen through a port, which may be that of a proxy. */
export function connectionStringOf(port: number, key = azuriteKey): string {
  return [
    'DefaultEndpointsProtocol=http',
    `AccountName=${azuriteAccount}`,
    `AccountKey=${key}`,
    `BlobEndpoint=http://127.0.0.1:${port}/${azuriteAccount}`,
  ].join(';')
}

export function createContainerName(): string {
  return `test-${randomUUID()}`
}

export async function startAzurite(): Promise<Azurite> {
  const main = fileURLToPath(import.meta.resolve('azurite/dist/src/blob/main.js'))
  const clock = fileURLToPath(new URL('./azurite-clock.ts', import.meta.url))
  const settings = ['--blobHost', '127.0.0.1', '--blobPort', '0', '--inMemoryPersistence', '--silent']
  const child = spawn(
    process.execPath,
    ['--import', clock, main, ...settings, '--skipApiVersionCheck', '--disableTelemetry'],
    { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] },
  )
  const endWithUs = () => child.kill('SIGKILL')
  process.once('exit', endWithUs)
  const gone = once(child, 'exit').then(() => process.removeListener('exit', endWithUs))
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  // Read to the end, so that the pipe never fills.
  if (child.stdout) {
    createInterface(child.stdout).on('line', (line) => {
      const port = /successfully listens on .*:(\d+)/.exec(line)?.[1]
      if (port) resolve(Number(port))
    })
  }
  child.once('exit', (code) => reject(new Error(`Azurite ended with code ${code}`)))
  const port = await promise
  return {
    port,
    connectionString: connectionStringOf(port),
    advance: async (ms) => {
      const turned = once(child, 'message')
      child.send(ms)
      await turned
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await gone
    },
  }
}
