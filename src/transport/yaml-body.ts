import type { FastifyInstance } from 'fastify'
import { ParleyError } from '#errors.ts'
import { isEncodedOtherwise } from './json-body.ts'

/** RFC 9512, and what YAML was called before it. */
export const yamlTypes = ['application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml'] as const

const message = 'The body has to be application/yaml or application/json.'

/** Bodies stay the bytes that they are: what is pushed is kept, and hashed, as it was written. */
export function acceptDocuments(server: FastifyInstance): void {
  server.removeAllContentTypeParsers()
  server.addContentTypeParser(['application/json', ...yamlTypes], { parseAs: 'buffer' }, (request, body, done) => {
    if (isEncodedOtherwise(request)) return done(new ParleyError('unsupported_media_type', { message }))
    done(null, body)
  })
  server.addContentTypeParser('*', (_request, _payload, done) => {
    done(new ParleyError('unsupported_media_type', { message }))
  })
}

export function formatOf(contentType: string | undefined): 'yaml' | 'json' {
  return contentType?.split(';')[0]?.trim().toLowerCase() === 'application/json' ? 'json' : 'yaml'
}
