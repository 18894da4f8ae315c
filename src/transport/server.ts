import fastify, { type FastifyInstance, type FastifyRequest, type RouteOptions } from 'fastify'
import { ParleyError } from '#errors.ts'
import type { Authenticator, Identified } from '#identity/authenticator.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { answerPolicy } from './answer-policy.ts'
import { refuseBrokenClient, refuseTunnel } from './client-faults.ts'
import { createCrossOrigin } from './cross-origin.ts'
import { EventStreams } from './event-streams.ts'
import { asFault, sendFault } from './faults.ts'
import { acceptJsonOnly } from './json-body.ts'
import type { TransportLimits } from './limits.ts'
import { requestIdOf, traceparentOf } from './request-context.ts'
import { checkHead } from './request-head.ts'
import { compileValidator } from './validation.ts'
import { isWebSocketHandshake } from './websocket/handshake.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** All event streams of this server; see `openEventStream`. */
    eventStreams: EventStreams
    /** All routes, for who describes them. */
    routeList: RouteOptions[]
    /** Throws overloaded while this replica takes nothing new. */
    checkLoad(): void
  }
}

export interface ServerOptions {
  log: Log
  clock: Clock
  authenticator: Authenticator
  limits: TransportLimits
  /** Before it is known who calls; throws rate_limited. */
  limitAddress?: ((address: string) => void) | undefined
  /** Whose `x-forwarded-for` is believed. */
  trustedProxies?: readonly string[]
  /** Other origins whose pages may call. */
  corsOrigins?: readonly string[]
  /** Throws overloaded while this replica takes nothing new. */
  checkLoad?(): void
  /** Where browsers find us, where the environment says so. */
  publicUrl?: string | undefined
}

/** Who takes longer to send a body is asked again who they are, since they may have been shut out meanwhile. */
const STANDS_MS = 250
/** Requests under way when the server closes get this long. */
const CLOSE_GRACE_MS = 2000

/** The HTTP server that all surfaces share: who calls, what may arrive, and the one shape of errors. */
export function createServer(options: ServerOptions): FastifyInstance {
  const { log, clock, limits, limitAddress, trustedProxies = [], corsOrigins = [], publicUrl } = options
  const { checkLoad = () => {} } = options
  const policy = answerPolicy(publicUrl)
  const crossOrigin = createCrossOrigin(corsOrigins, publicUrl && new URL(publicUrl).origin)
  const server = fastify({
    logger: false,
    trustProxy: trustedProxies.length > 0 && [...trustedProxies],
    genReqId: requestIdOf,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    forceCloseConnections: 'idle',
    // The chat refuses turns while the process drains, with an error of its own.
    return503OnClosing: false,
    http: {
      maxHeaderSize: limits.headerBytes,
      // Node would answer in a shape of its own.
      requireHostHeader: false,
      shouldUpgradeCallback: isWebSocketHandshake,
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: Math.min(5_000, Math.ceil(limits.headersTimeoutMs / 3)),
    },
    clientErrorHandler: refuseBrokenClient,
    frameworkErrors: (error, request, reply) => {
      reply.headers(policy)
      crossOrigin.mark(request, reply)
      void sendFault(asFault(error), request, reply.header('x-request-id', request.id), log)
    },
  })
  server.server.maxConnections = limits.connections
  server.server.on('connect', (_request, socket) => refuseTunnel(socket))
  // An expectation other than 100-continue may be ignored; Node would answer it in a shape of its own.
  server.server.on('checkExpectation', (request, response) => server.routing(request, response))
  server.decorate('eventStreams', new EventStreams(clock, limits))
  server.decorate('checkLoad', checkLoad)
  const routeList: RouteOptions[] = []
  server.decorate('routeList', routeList)
  server.addHook('onRoute', (route) => {
    routeList.push(route)
  })
  server.addHook('onReady', async () => {
    const silent = routeList.find(({ config }) => !config?.open && !config?.roles)
    if (silent) throw new Error(`${silent.method} ${silent.url} does not say whom it serves.`)
  })
  let stopWaiting = () => {}
  server.addHook('preClose', async () => {
    server.eventStreams.close()
    // Node stops its own checks with the server, so a request that never arrives whole would keep it open for ever.
    stopWaiting = clock.after(CLOSE_GRACE_MS, () => server.server.closeAllConnections())
  })
  server.addHook('onClose', async () => stopWaiting())

  server.decorateRequest('principal', null)
  server.decorateRequest('principalUntil', null)
  server.decorateRequest('onPrincipalEnded', null)
  server.decorateRequest('identifiedAt', null)
  server.decorateRequest('traceparent', null)
  server.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    reply.headers(policy)
    crossOrigin.mark(request, reply)
    request.traceparent = traceparentOf(request.raw)
    try {
      checkHead(request.raw, limits)
      if (!request.url.startsWith('/health/')) limitAddress?.(request.ip)
      crossOrigin.checkHandshake(request)
      if (crossOrigin.answersQuestion(request, reply, () => methodsAt(server, request))) return
      if (!request.routeOptions.config.vital) checkLoad()
    } catch (error) {
      return done(error as Error)
    }
    if (request.routeOptions.config.open || request.is404) return done()
    identify(request, options, done)
  })
  server.addHook('preValidation', (request, _reply, done) => {
    const { identifiedAt } = request
    if (identifiedAt === null || clock.monotonic() - identifiedAt < STANDS_MS) return done()
    identify(request, options, done)
  })
  if (log.isLevelEnabled('debug')) {
    server.addHook('onResponse', (request, reply, done) => {
      const { method, id: requestId } = request
      const { elapsedTime: durationMs, statusCode: status } = reply
      const served = { config: reply.getHeader('x-parley-config'), arm: reply.getHeader('x-parley-arm') }
      const asked = { requestId, method, route: request.routeOptions.url }
      log.debug({ ...asked, ...served, status, durationMs }, 'Request answered')
      done()
    })
  }

  server.setValidatorCompiler(compileValidator)
  // What leaves is typed; schemas of responses are for the documentation alone, and must not drop fields silently.
  server.setSerializerCompiler(() => JSON.stringify)
  acceptJsonOnly(server)
  server.setErrorHandler((error, request, reply) => sendFault(asFault(error), request, reply, log))
  server.setNotFoundHandler((request, reply) => {
    const allowed = methodsAt(server, request)
    if (allowed.length === 0) return sendFault(new ParleyError('not_found'), request, reply, log)
    return sendFault(new ParleyError('method_not_allowed'), request, reply.header('allow', allowed.join(', ')), log)
  })
  return server
}

type Identifying = Pick<ServerOptions, 'authenticator' | 'clock'>

function identify(request: FastifyRequest, { authenticator, clock }: Identifying, done: (error?: Error) => void): void {
  const taken = (identified: Identified) => {
    request.identifiedAt = clock.monotonic()
    done(admit(request, identified))
  }
  const { socket, headers, method = 'GET' } = request.raw
  try {
    const facts = { method, headers, remoteAddress: socket.remoteAddress, encrypted: 'encrypted' in socket }
    const identified = authenticator.authenticate(facts)
    if (!(identified instanceof Promise)) return taken(identified)
    identified.then(taken, done)
  } catch (error) {
    done(error as Error)
  }
}

/** Whether the route serves the caller. */
function admit(request: FastifyRequest, { principal, until, onEnded }: Identified): Error | undefined {
  const { roles } = request.routeOptions.config
  request.principal = principal
  request.principalUntil = until ?? null
  request.onPrincipalEnded = onEnded ?? null
  if (roles !== 'any' && !roles?.some((role) => principal.roles.includes(role))) {
    return new ParleyError('forbidden', { message: `This takes one of the roles ${roles?.join(', ')}.` })
  }
  return undefined
}

const METHODS = ['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT'] as const

function methodsAt(server: FastifyInstance, request: FastifyRequest): string[] {
  const [path = '/'] = request.raw.url?.split('?') ?? []
  return METHODS.filter((method) => server.findRoute({ method, url: path }) !== null)
}
