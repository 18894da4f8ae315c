import type { MessagePort } from 'node:worker_threads'
import type { LocatedFault } from '../fault.ts'
import { type Check, loadVersion } from '../load.ts'
import type { ConfigFormat } from '../version-names.ts'

export interface LoadRequest {
  name: string
  bytes: Uint8Array
  format: ConfigFormat
}

/** The document as JSON: it is parsed in a tenth of the time that a clone of its objects takes. */
export type LoadAnswer = 'ready' | { hash: string; document: string } | { faults: LocatedFault[] }

/** The thread behind `ConfigLoader`: validates one version after another, by the checks of all modules. */
export function serveLoads(port: MessagePort, checks: readonly Check[]): void {
  const answer = (said: LoadAnswer) => port.postMessage(said)
  port.on('message', ({ name, bytes, format }: LoadRequest) => {
    const loaded = loadVersion(name, bytes, format, checks)
    if ('faults' in loaded) return answer(loaded)
    const { hash, document } = loaded.version
    answer({ hash, document: JSON.stringify(document) })
  })
  answer('ready')
}
