import { ParleyError } from '#errors.ts'
import { readRetryAfter } from '../retry-after.ts'

/**
 * What the vault, or the way to it, says of a secret that could not be read: `SecretDisabled`, `ForbiddenByFirewall`, `Throttled`,
 * `ENOTFOUND`. The client's own errors carry the request with its token, so only code and status go on.
 */
export function keyVaultFault(thrown: unknown, named: string, nowMs: number): ParleyError {
  if (thrown instanceof ParleyError) return thrown
  const status = statusOf(thrown)
  const code = codeOf(thrown)
  if (isForeignChallenge(thrown)) return invalid('The vault asks for a token that is not for Key Vault: none is sent.')
  if (code === 'SecretDisabled') return invalid(`${named} is disabled.`)
  if (code === 'ForbiddenByFirewall') return invalid('The firewall of the vault refuses this process.')
  if (status === 403) {
    return invalid(`${named} may not be read: the identity of the process needs "Key Vault Secrets User" (${code}).`)
  }
  if (status === 401) return invalid(`The vault does not take the token of the process (${code}).`)
  if (status !== undefined && status < 500 && status !== 408 && status !== 429) {
    return invalid(`${named} cannot be asked for (${code}).`)
  }
  const retryAfterMs = readRetryAfter(retryAfterOf(thrown), nowMs)
  return new ParleyError('secrets_unavailable', {
    message: `The vault is out of reach (${code}).`,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  })
}

export function statusOf(thrown: unknown): number | undefined {
  const status = fieldOf(thrown, 'statusCode')
  return typeof status === 'number' ? status : undefined
}

function codeOf(thrown: unknown): string {
  const error = fieldOf(fieldOf(thrown, 'details'), 'error')
  const codes = [fieldOf(fieldOf(error, 'innerError'), 'code'), fieldOf(error, 'code'), fieldOf(thrown, 'code')]
  const code = codes.find((one) => typeof one === 'string' && one !== '')
  return String(code ?? (thrown instanceof Error ? thrown.name : 'unknown'))
}

/** The client verifies whom the token would be for. */
function isForeignChallenge(thrown: unknown): boolean {
  return thrown instanceof Error && /^The challenge |^The request URL must use HTTPS/.test(thrown.message)
}

function retryAfterOf(thrown: unknown): string | undefined {
  const headers = fieldOf(fieldOf(thrown, 'response'), 'headers')
  return headers instanceof Object && 'get' in headers && typeof headers.get === 'function'
    ? headers.get('retry-after')
    : undefined
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}

function invalid(message: string): ParleyError {
  return new ParleyError('environment_invalid', { message })
}
