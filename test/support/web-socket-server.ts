import type { ClientOptions } from 'ws'
import { systemClock } from '#platform/clock.ts'
import { defaultLimits, type WebSocketLimits } from '#transport/limits.ts'
import { registerWebSocketApi } from '#transport/websocket/web-socket-api.ts'
import { RpcClient } from './rpc-client.ts'
import { ScriptedActions } from './scripted-actions.ts'
import type { ScriptedChat } from './scripted-chat.ts'
import { startTransport, type TransportServer, type TransportServerOptions } from './transport-server.ts'

export interface WebSocketServer extends TransportServer {
  actions: ScriptedActions
  connect(options?: ClientOptions): Promise<RpcClient>
}

/** The WebSocket surface before a chat that a test scripts; the specialist is `plain`. */
export async function startWebSockets(
  chat: ScriptedChat,
  { websocket, ...options }: TransportServerOptions & { websocket?: Partial<WebSocketLimits> } = {},
): Promise<WebSocketServer> {
  const limits = { ...defaultLimits, ...options.limits, websocket: { ...defaultLimits.websocket, ...websocket } }
  const actions = new ScriptedActions()
  const transport = await startTransport(
    (server, log) =>
      registerWebSocketApi(server, {
        log,
        chat,
        actions,
        limits,
        clock: options.clock ?? systemClock,
      }),
    { ...options, limits },
  )
  const clients: RpcClient[] = []
  const surface: WebSocketServer = {
    ...transport,
    actions,
    async connect(clientOptions) {
      const client = await RpcClient.connect(transport.url, 'plain', clientOptions)
      clients.push(client)
      return client
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.socket.terminate()
      await transport[Symbol.asyncDispose]()
    },
  }
  return surface
}
