import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { ParleyError } from '#errors.ts'
import type { ServedConfig } from '../config-deps.ts'
import { acceptJsonOnly } from '../json-body.ts'
import type { Routes } from '../routing.ts'

const path = '/api/v1/config/events'
const VALIDATION = 'Microsoft.EventGrid.SubscriptionValidationEvent'
const types = ['application/json', 'application/cloudevents+json', 'application/cloudevents-batch+json']

/**
 * Where Event Grid tells that the container of config versions has changed, by its own schema or by CloudEvents. What it tells
 * is not looked at: the container is.
 */
export function configEventRoutes(
  root: Routes,
  served: Pick<ServedConfig, 'env'> & { versions: Pick<ServedConfig['versions'], 'refresh'> },
): void {
  const config = { open: true } as const
  const schema = { hide: true }

  root.register(async (scope) => {
    acceptJsonOnly(scope, types)

    scope.post(path, { config, schema }, async (request, reply) => {
      if (!knows(request, served.env.eventGridKey)) {
        throw new ParleyError('unauthenticated', { message: 'The key is missing or wrong.' })
      }
      const validationResponse = validationCodeIn(request.body)
      if (validationResponse !== undefined) return { validationResponse }
      // Answered at once: a store that is slow to list must not have Event Grid send everything again.
      void served.versions.refresh()
      return reply.code(202).send()
    })

    // The handshake of CloudEvents, by which a sender asks whether it may send; what it sends needs the key all the same.
    scope.options(path, { config, schema }, async ({ headers }, reply) => {
      const origin = headers['webhook-request-origin']
      if (typeof origin !== 'string') {
        throw new ParleyError('invalid_request', { message: 'This is no handshake.', param: 'webhook-request-origin' })
      }
      return reply.header('webhook-allowed-origin', origin).header('webhook-allowed-rate', '*').send()
    })
  })
}

/** Event Grid sends what it is set up with as a header, or in the query of the address. */
function knows({ headers, query }: FastifyRequest, key: string | undefined): boolean {
  const given = headers['x-parley-key'] ?? headers['aeg-sas-key'] ?? (query as { key?: unknown }).key
  return typeof given === 'string' && key !== undefined && timingSafeEqual(digest(given), digest(key))
}

/** Of one length, whatever is given. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function validationCodeIn(body: unknown): string | undefined {
  for (const event of Array.isArray(body) ? body : [body]) {
    const { eventType, data } = (event ?? {}) as { eventType?: unknown; data?: { validationCode?: unknown } }
    if (eventType === VALIDATION && typeof data?.validationCode === 'string') return data.validationCode
  }
  return undefined
}
