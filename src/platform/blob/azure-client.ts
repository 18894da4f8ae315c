import { AnonymousCredential, BlobServiceClient, type StoragePipelineOptions } from '@azure/storage-blob'
import { ParleyError } from '#errors.ts'
import type { TokenSource } from '../credential.ts'
import { isLoopback } from '../egress/addresses.ts'

/** Where the account is, and how to be let in. A connection string goes before a URL. */
export interface AzureAccount {
  /** May be another one after a rotation. */
  readonly connectionString?: string | undefined
  /** With a SAS in its query, or without for a token. */
  accountUrl?: string | undefined
  tokens: TokenSource
}

const scope = 'https://storage.azure.com/.default'

/** `maxTries` of a call that fails at once; a call that says nothing is ended by its signal. */
export function serviceOf({ connectionString, accountUrl, tokens }: AzureAccount, maxTries: number): BlobServiceClient {
  const options: StoragePipelineOptions = {
    retryOptions: { maxTries, retryDelayInMs: 100, maxRetryDelayInMs: 1000 },
  }
  if (connectionString !== undefined) {
    const service = serviceBy(connectionString, options)
    // With a key each request is signed instead, and the key stays here.
    const url = URL.parse(service.url)
    if (url?.searchParams.has('sig')) refuseInTheClear(url, 'AZURE_STORAGE_CONNECTION_STRING')
    return service
  }
  const url = URL.parse(accountUrl ?? '')
  if (!url) throw new ParleyError('environment_invalid', { message: 'AZURE_STORAGE_ACCOUNT_URL has to be a URL.' })
  if (url.searchParams.has('sig')) {
    refuseInTheClear(url, 'AZURE_STORAGE_ACCOUNT_URL')
    return new BlobServiceClient(url.href, new AnonymousCredential(), options)
  }
  if (url.protocol !== 'https:') {
    throw new ParleyError('environment_invalid', {
      message:
        'AZURE_STORAGE_ACCOUNT_URL has to begin with https:// where it has no SAS: a token must not be sent in the clear.',
    })
  }
  const credential = {
    getToken: async () => {
      const { token, expiresAt } = await tokens.token(scope)
      return { token, expiresOnTimestamp: expiresAt }
    },
  }
  return new BlobServiceClient(url.href, credential, options)
}

function serviceBy(connectionString: string, options: StoragePipelineOptions): BlobServiceClient {
  try {
    return BlobServiceClient.fromConnectionString(connectionString, options)
  } catch {
    // What the client says of it may repeat it.
    throw new ParleyError('environment_invalid', {
      message: 'AZURE_STORAGE_CONNECTION_STRING is none of an account.',
    })
  }
}

/** A SAS lets in whoever has it, and is part of every request: only to this machine may it go without TLS. */
function refuseInTheClear({ protocol, hostname }: URL, variable: string): void {
  const isHere = hostname === 'localhost' || isLoopback(hostname.replace(/^\[|\]$/g, ''))
  if (protocol === 'https:' || isHere) return
  throw new ParleyError('environment_invalid', {
    message: `${variable} has to use https:// with a SAS, but for this machine: a SAS must not be sent in the clear.`,
  })
}
