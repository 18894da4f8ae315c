import { ParleyError } from '#errors.ts'
import { preferredType } from '../accept.ts'
import { findVersion, presentVersion, readVersion } from '../config-answers.ts'
import type { ServedConfig } from '../config-deps.ts'
import { vary } from '../cross-origin.ts'
import { isAtHand } from '../etag.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import {
  ConfigDiffReply,
  ConfigVersionEntry,
  ConfigVersionPage,
  configInvalid,
  DiffPath,
  VersionPath,
} from '../schema-config.ts'
import { empty, errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'
import { yamlTypes } from '../yaml-body.ts'

const tags = ['config']

/** Looking at config versions, and a second operator's word on one. */
export function configVersionRoutes(routes: Routes, config: ServedConfig): void {
  const { versions, rollouts, diff } = config

  routes.get('/api/v1/config/versions', {
    config: whom.operators,
    schema: {
      operationId: 'listConfigVersions',
      summary: 'Config versions, newest first, and what each serves at present',
      tags,
      response: { 200: ConfigVersionPage, ...errors(401, 403) },
    },
    handler: async () => {
      const view = rollouts.view()
      return { items: versions.list().map((entry) => presentVersion(entry, view)) }
    },
  })

  routes.get('/api/v1/config/versions/:version', {
    config: whom.operators,
    schema: {
      operationId: 'getConfigVersion',
      summary: 'A config version: what is known of it, or its bytes as they were pushed',
      tags,
      params: VersionPath,
      response: {
        200: {
          description: 'What is known of it; or, where YAML is accepted and JSON is not, its bytes.',
          headers: { etag: { type: 'string', description: 'Its hash.' } },
          content: { 'application/json': { schema: ConfigVersionEntry }, 'application/yaml': { schema: {} } },
        },
        304: empty('The bytes are those that the caller has.'),
        ...errors(401, 403, 404, 406, 503),
      },
    },
    handler: async (request, reply) => {
      const entry = await findVersion(config, request.params.version)
      const type = preferredType(request.headers.accept, ['application/json', ...yamlTypes])
      if (type === undefined) throw new ParleyError('not_acceptable', { param: 'accept' })
      const etag = `"${entry.hash}"`
      vary(reply.header('etag', etag), 'accept')
      if (isAtHand(request, etag)) return reply.code(304).send(null)
      if (type === 'application/json') return reply.send(presentVersion(entry, rollouts.view()))
      const { bytes, format } = await versions.source(entry.name)
      // JSON is YAML, so whoever takes YAML can read either.
      reply.header('content-type', format === 'json' ? 'application/json; charset=utf-8' : `${type}; charset=utf-8`)
      return reply.serializer((same) => same).send(bytes)
    },
  })

  routes.post('/api/v1/config/versions/:version/approve', {
    config: whom.operators,
    schema: {
      operationId: 'approveConfigVersion',
      summary: 'A second operator agrees to a version that guards less',
      tags,
      params: VersionPath,
      response: { 200: ConfigVersionEntry, ...errors(401, 403, 404, 409, 503) },
    },
    handler: async (request) => {
      const { id, name } = principalOf(request)
      return presentVersion(await versions.approve({ id, name }, request.params.version), rollouts.view())
    },
  })

  routes.get('/api/v1/config/versions/:from/diff/:to', {
    config: whom.operators,
    schema: {
      operationId: 'compareConfigVersions',
      summary: 'What a version changes against another, entry by entry, texts by words',
      tags,
      params: DiffPath,
      response: { 200: ConfigDiffReply, ...errors(401, 403, 404, 503), 422: configInvalid },
    },
    handler: async ({ params }) => diff(await readVersion(config, params.from), await readVersion(config, params.to)),
  })
}
