import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import type { Authenticator } from '#identity/authenticator.ts'
import type { Principal } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import { type Clock, systemClock } from '#platform/clock.ts'
import { defaultLimits, type TransportLimits } from '#transport/limits.ts'
import { createServer } from '#transport/server.ts'
import { RawClient } from './raw-client.ts'

export const caller: Principal = {
  tenant: 'local',
  id: 'caller',
  name: 'Caller',
  kind: 'user',
  roles: ['Chat.User', 'Admin'],
  scopes: [],
}

export interface TransportServer extends AsyncDisposable {
  server: FastifyInstance
  port: number
  url: string
  /** What was logged. */
  logged: Record<string, unknown>[]
  raw(): RawClient
}

export interface TransportServerOptions {
  clock?: Clock
  limits?: Partial<TransportLimits>
  logLevel?: string
  authenticate?: Authenticator['authenticate']
  /** Throws overloaded while the server is to take nothing new. */
  checkLoad?(): void
}

/** The HTTP server alone, listening, with the routes that a test gives it. */
export async function startTransport(
  routes: (server: FastifyInstance, log: Log) => void,
  {
    clock = systemClock,
    limits,
    logLevel = 'warn',
    authenticate = () => ({ principal: caller }),
    checkLoad = () => {},
  }: TransportServerOptions = {},
): Promise<TransportServer> {
  const logged: Record<string, unknown>[] = []
  const log = pino({ level: logLevel }, { write: (line) => void logged.push(JSON.parse(line)) })
  const authenticator = { authenticate }
  const server = createServer({ log, clock, limits: { ...defaultLimits, ...limits }, authenticator, checkLoad })
  // What a test gives is served to everyone unless it says otherwise.
  server.addHook('onRoute', (route) => {
    route.config = { roles: 'any', ...route.config }
  })
  routes(server, log)
  await server.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server.server.address() as AddressInfo
  const clients: RawClient[] = []
  return {
    server,
    port,
    url: `http://127.0.0.1:${port}`,
    logged,
    raw() {
      const client = new RawClient(port)
      clients.push(client)
      return client
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy()
      await server.close()
    },
  }
}
