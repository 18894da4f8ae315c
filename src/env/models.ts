import type { Reader } from './reader.ts'

const OPENAI_URL = 'https://api.openai.com/v1'

export interface ModelsEnv {
  openai: { apiKey: string | undefined; baseUrl: string } | undefined
  azureOpenai: { endpoint: string; apiKey: string | undefined } | undefined
  /** Hosts that a config version may name in `baseUrl`, beside those of the environment. */
  egressHosts: readonly string[]
}

export function readModels(read: Reader): ModelsEnv {
  const baseUrl = read.url('OPENAI_BASE_URL', ['http:', 'https:'])
  const endpoint = read.url('AZURE_OPENAI_ENDPOINT', ['http:', 'https:'])
  return {
    openai:
      read.text('OPENAI_API_KEY') === undefined && baseUrl === undefined
        ? undefined
        : {
            get apiKey() {
              return read.text('OPENAI_API_KEY')
            },
            baseUrl: baseUrl ?? OPENAI_URL,
          },
    azureOpenai:
      endpoint === undefined
        ? undefined
        : {
            endpoint,
            get apiKey() {
              return read.text('AZURE_OPENAI_API_KEY')
            },
          },
    egressHosts: read.list('PARLEY_EGRESS_HOSTS'),
  }
}
