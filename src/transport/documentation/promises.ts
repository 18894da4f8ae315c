import type { FastifyContextConfig, FastifySchema, RouteOptions } from 'fastify'
import { errors } from '../schema-replies.ts'

/** The ways to say who calls; each by itself is enough. */
export const securitySchemes = {
  token: {
    type: 'http',
    scheme: 'bearer',
    description: 'An access token of Entra ID for this API, or a Parley key. In embedded mode nobody is asked for one.',
  },
  header: { type: 'apiKey', in: 'header', name: 'api-key', description: 'The same in a header of its own.' },
  session: {
    type: 'apiKey',
    in: 'cookie',
    name: '__Host-parley-session',
    description: 'Of a browser that has signed in at `/auth/login`; over http it is called `parley-session`.',
  },
} as const

const anyWay = Object.keys(securitySchemes).map((name) => ({ [name]: [] }))

/**
 * A route's schema with what all routes of its kind have in common: whom it serves and how callers show who they are, and the
 * refusals that come before the route is asked. What the route says itself stands.
 */
export function promised({ url, schema = {}, config = {} }: Pick<RouteOptions, 'url' | 'schema' | 'config'>) {
  const own = (schema.response ?? {}) as Record<string, unknown>
  return {
    ...schema,
    security: config.open ? [] : anyWay,
    ...(!config.open && { 'x-roles': config.roles }),
    response: { ...errors(...refusals(url, config)), ...own },
  } satisfies FastifySchema & Record<string, unknown>
}

function refusals(url: string, { open }: FastifyContextConfig): number[] {
  const isProbe = url.startsWith('/health/')
  return [
    // What cannot be read, and an address that is longer than any that exists.
    ...(isProbe ? [] : [400]),
    ...(url.includes(':') ? [404] : []),
    ...(open ? [] : [401]),
    // Also where whoever is known is served: not to a page of another site that has a browser send its session.
    ...(open ? [] : [403]),
    // Of an address that asks too often, and of a replica that takes nothing new.
    ...(isProbe ? [] : [429, 503]),
  ]
}
