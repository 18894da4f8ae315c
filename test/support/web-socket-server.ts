import type { ClientOptions } from 'ws'
import type { Chat } from '#chat/chat.ts'
import type { ConfigVersion } from '#config/document.ts'
import type { Conversations } from '#conversations/conversations.ts'
import { ParleyError } from '#errors.ts'
import { newId } from '#ids.ts'
import { systemClock } from '#platform/clock.ts'
import { defaultLimits, type WebSocketLimits } from '#transport/limits.ts'
import { registerWebSocketApi } from '#transport/websocket/web-socket-api.ts'
import { chatConfig } from './chat-config.ts'
import { RpcClient } from './rpc-client.ts'
import { ScriptedActions } from './scripted-actions.ts'
import { startTransport, type TransportServer, type TransportServerOptions } from './transport-server.ts'

export interface WebSocketServer extends TransportServer {
  actions: ScriptedActions
  /** The specialists of the conversations that were begun. */
  begun: string[]
  /** How many of the next conversations cannot be begun. */
  failingConversations: number
  connect(options?: ClientOptions): Promise<RpcClient>
}

/** The WebSocket surface before a chat that a test scripts; the specialist is `plain`. */
export async function startWebSockets(
  chat: Chat,
  { websocket, ...options }: TransportServerOptions & { websocket?: Partial<WebSocketLimits> } = {},
): Promise<WebSocketServer> {
  const limits = { ...defaultLimits, ...options.limits, websocket: { ...defaultLimits.websocket, ...websocket } }
  const config: ConfigVersion = { name: 'v001', hash: '0', document: chatConfig({}) }
  const begun: string[] = []
  const actions = new ScriptedActions()
  const conversations: Pick<Conversations, 'create'> = {
    async create(_principal, { specialist }) {
      if (surface.failingConversations-- > 0) throw new ParleyError('state_unavailable')
      begun.push(specialist)
      return { id: newId('conv'), specialist } as Awaited<ReturnType<Conversations['create']>>
    },
  }
  const transport = await startTransport(
    (server, log) =>
      registerWebSocketApi(server, {
        log,
        chat,
        actions,
        conversations,
        limits,
        clock: options.clock ?? systemClock,
        configs: { current: () => config },
        assign: () => ({ config: 'v001', arm: 'stable' }),
      }),
    { ...options, limits },
  )
  const clients: RpcClient[] = []
  const surface: WebSocketServer = {
    ...transport,
    actions,
    begun,
    failingConversations: 0,
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
