/** What the process runs on, shaped from the environment. Secrets are kept apart from what may be shown. */
export interface Env {
  host: string
  port: number
  role: 'all' | 'api' | 'worker'
  dataDir: string
  configDir: string
  logLevel: string
  kv: KvEnv
  models: ModelsEnv
  masterKeys: MasterKeysEnv
  limits: LimitsEnv
}

export type KvEnv =
  | { engine: 'sqlite'; path: string }
  | { engine: 'redis'; url: string; cluster: boolean; auth: 'url' | 'entra' }

export interface ModelsEnv {
  openai: { apiKey: string | undefined; baseUrl: string } | undefined
  azureOpenai: { endpoint: string; apiKey: string | undefined } | undefined
  /** Hosts that a config version may name in `baseUrl`, beside those of the environment. */
  egressHosts: readonly string[]
}

export type MasterKeysEnv =
  | { source: 'environment'; keys: readonly { id: string; key: Buffer }[] }
  | { source: 'file'; path: string }

export interface LimitsEnv {
  turnsAtOnce: number
  turnLeaseMs: number
  drainMs: number
  conversationIdleDays: number
}
