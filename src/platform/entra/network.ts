import type { INetworkModule, NetworkRequestOptions } from '@azure/msal-node'

const TIMEOUT_MS = 10_000
const MAX_CHARACTERS = 1 << 20

/** The network as MSAL wants it, over the `fetch` that is handed in. Redirects are none of its protocol. */
export function networkOver(fetchIt: typeof fetch): INetworkModule {
  async function send<T>(method: string, url: string, options: NetworkRequestOptions = {}) {
    const response = await fetchIt(url, {
      method,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(options.headers && { headers: options.headers }),
      ...(options.body !== undefined && { body: options.body }),
    })
    const text = await response.text()
    if (text.length > MAX_CHARACTERS) throw new Error('The authority answers too much.')
    const headers = Object.fromEntries(response.headers)
    return { status: response.status, headers, body: (text === '' ? {} : JSON.parse(text)) as T }
  }
  return {
    sendGetRequestAsync: (url, options) => send('GET', url, options),
    sendPostRequestAsync: (url, options) => send('POST', url, options),
  }
}
