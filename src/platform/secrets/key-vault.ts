import { ParleyError } from '#errors.ts'
import type { Clock } from '../clock.ts'
import type { TokenSource } from '../credential.ts'
import { keyVaultFault, statusOf } from './key-vault-fault.ts'
import type { SecretStore } from './secrets.ts'

export interface KeyVaultOptions {
  /** `https://name.vault.azure.net`. */
  url: string
  tokens: TokenSource
  clock: Clock
}

/** One that every cloud serves. */
const serviceVersion = '7.6'
const answerMs = 10_000

/**
 * Azure Key Vault. The client answers the vault's challenge, and sends a token only where the challenge is for the vault's own
 * domain. Whether to try again, and for how long, is for whoever asks.
 */
export async function openKeyVault({ url, tokens, clock }: KeyVaultOptions): Promise<SecretStore> {
  // Loading the package takes a few hundred ms, which a process without a vault should not pay.
  const { SecretClient } = await import('@azure/keyvault-secrets')
  const credential = {
    getToken: async (scope: string | string[]) => {
      const { token, expiresAt } = await tokens.token([scope].flat().join(' ')).catch((error: unknown) => {
        const name = error instanceof Error ? error.name : 'unknown'
        throw new ParleyError('secrets_unavailable', { message: `No token for the vault can be had (${name}).` })
      })
      return { token, expiresOnTimestamp: expiresAt }
    },
  }
  const client = new SecretClient(url, credential, { serviceVersion, retryOptions: { maxRetries: 0 } })

  return {
    engine: 'key-vault',
    async read(variable, signal) {
      const name = secretNameOf(variable)
      const named = `The secret ${name} (${variable})`
      const found = await within(clock, signal, (abortSignal) => client.getSecret(name, { abortSignal })).catch(
        (error: unknown) => {
          signal.throwIfAborted()
          if (statusOf(error) === 404) return undefined
          throw keyVaultFault(error, named, clock.now())
        },
      )
      if (found === undefined) return undefined
      // The vault hands out what is out of its time, too.
      const { enabled, expiresOn, notBefore } = found.properties
      if (enabled === false) throw unusable(`${named} is disabled.`)
      if (expiresOn && expiresOn.getTime() <= clock.now()) throw unusable(`${named} has expired.`)
      if (notBefore && notBefore.getTime() > clock.now()) throw unusable(`${named} is not valid yet.`)
      return found.value?.trim() || undefined
    },
  }
}

/** `OPENAI_API_KEY` is kept as `openai-api-key`: the vault's names have no underscores. */
export function secretNameOf(variable: string): string {
  const name = variable.toLowerCase().replaceAll('_', '-')
  if (!/^[a-z][a-z0-9-]{0,126}$/.test(name)) throw new RangeError(`${variable} is no name that a secret can have`)
  return name
}

function unusable(message: string): ParleyError {
  return new ParleyError('environment_invalid', { message })
}

/** A token that is slow to come knows nothing of the signal. */
async function within<Result>(
  clock: Clock,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const late = new AbortController()
  const cancel = clock.after(answerMs, () => late.abort(new DOMException('no answer', 'TimeoutError')))
  const both = AbortSignal.any([late.signal, signal])
  const aborted = Promise.withResolvers<never>()
  const giveUp = () => aborted.reject(both.reason)
  both.addEventListener('abort', giveUp, { once: true })
  try {
    both.throwIfAborted()
    return await Promise.race([work(both), aborted.promise])
  } finally {
    cancel()
    both.removeEventListener('abort', giveUp)
  }
}
