import type { IncomingMessage } from 'node:http'
import websocket, { type WebSocket } from '@fastify/websocket'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import { ParleyError } from '#errors.ts'
import type { Clock } from '#platform/clock.ts'
import { refuseBrokenClient } from '../client-faults.ts'
import { pickedVersion } from '../config-header.ts'
import type { NativeDeps } from '../native-deps.ts'
import { principalOf } from '../request-context.ts'
import { IdPath } from '../schema.ts'
import { whom } from '../whom.ts'
import { CallAllowance } from './call-allowance.ts'
import { Connection } from './connection.ts'
import { FollowedTurns } from './followed-turns.ts'
import { isWebSocketHandshake } from './handshake.ts'
import { createMethods, type MethodDeps } from './methods.ts'
import { createSession } from './session.ts'

interface Deps extends Omit<MethodDeps, 'checkLoad'>, Pick<NativeDeps, 'log'> {
  clock: Clock
}

/** After our last word, for the peer's. */
const closeTimeoutMs = 2000
/** Of one message; a message of many tiny ones costs far more than its size. */
const fragments = 1024

type Handshake = FastifyRequest<{ Params: Static<typeof IdPath> }>

/** JSON-RPC 2.0 over WebSocket. Whatever refuses the handshake is answered in HTTP, before there is a WebSocket. */
export function registerWebSocketApi(server: FastifyInstance, deps: Deps): void {
  const { chat, clock, limits, log } = deps
  const { checkLoad } = server
  let open = 0

  function checkHandshake(request: Handshake, reply: FastifyReply): void {
    chat.checkSpecialist(principalOf(request), request.params.id, pickedVersion(request).version)
    if (!request.ws || request.headers['sec-websocket-version'] !== '13') {
      reply.headers({ upgrade: 'websocket', 'sec-websocket-version': '13' })
      throw new ParleyError('upgrade_required')
    }
    if (open >= limits.websocket.connections) throw new ParleyError('overloaded', { retryAfterMs: 1000 })
    // Where the answer that opens the WebSocket takes it from.
    request.raw.headers['x-request-id'] = request.id
  }

  function serve(socket: WebSocket, request: Handshake): void {
    open += 1
    socket.once('close', () => {
      open -= 1
    })
    const principal = principalOf(request)
    const { slowConsumerMs, turnsAtOnce, callsPerBatch } = limits.websocket
    const { principalUntil } = request
    const connection = new Connection(socket, request.raw.socket, server.eventStreams, slowConsumerMs, principalUntil)
    const stopHearing = request.onPrincipalEnded?.(() => connection.close('credential ended'))
    socket.once('close', () => stopHearing?.())
    const turns = new FollowedTurns(chat, principal, connection, log, turnsAtOnce)
    const session = createSession({
      connection,
      allowance: new CallAllowance(clock, limits.websocket),
      methods: createMethods(
        { ...deps, checkLoad },
        principal,
        { specialist: request.params.id, ...pickedVersion(request) },
        turns,
      ),
      callsPerBatch,
      log,
    })
    socket.on('message', (data, isBinary) => {
      if (isBinary) return connection.close('text frames only')
      void session.receive(String(data))
    })
  }

  // In a scope of its own, because the plugin's hooks would run for every request.
  void server.register(async (scope) => {
    const options = {
      clientTracking: false,
      closeTimeout: closeTimeoutMs,
      maxFragments: fragments,
      maxPayload: limits.websocket.messageBytes,
      perMessageDeflate: false,
    }
    await scope.register(websocket, {
      options,
      // The library closes what it finds wrong with the fitting code; this is for what else goes wrong.
      errorHandler: (_error, socket) => socket.close(1011, 'internal error'),
    })
    scope.websocketServer.on('headers', (headers: string[], { headers: asked }: IncomingMessage) => {
      headers.push(`x-request-id: ${asked['x-request-id']}`)
    })
    scope.websocketServer.on('wsClientError', refuseBrokenClient)
    // No parser listens on this connection for another request. The plugin ends it, but not when an earlier hook refused.
    scope.addHook('onResponse', async ({ raw }) => {
      if (isWebSocketHandshake(raw)) raw.socket.destroySoon()
    })
    scope.get<{ Params: Static<typeof IdPath> }>(
      '/ws/v1/specialists/:id',
      {
        websocket: true,
        config: whom.chat,
        schema: { params: IdPath },
        preHandler: async (request: Handshake, reply) => checkHandshake(request, reply),
      },
      serve,
    )
  })
}
