import { Type } from 'typebox'
import type { ConfigVersion } from '#config/document.ts'
import { MAX_CONFIG_BYTES } from '#config/source.ts'
import { ParleyError } from '#errors.ts'
import { presentVersion } from '../config-answers.ts'
import type { ServedConfig } from '../config-deps.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { ConfigCheck, ConfigVersionEntry, configInvalid, NewOnly, PushQuery, VersionPath } from '../schema-config.ts'
import { errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'
import { acceptDocuments, formatOf } from '../yaml-body.ts'

const document = { schema: {} }

/** Pushing a version; it is kept only when it is sound. */
export function configPushRoute(root: Routes, config: ServedConfig): void {
  // Bodies are taken otherwise than elsewhere, so the route has a scope of its own.
  root.register(async (scope) => {
    acceptDocuments(scope)
    const routes = scope.withTypeProvider() as unknown as Routes
    routes.put('/api/v1/config/versions/:version', {
      config: whom.operators,
      bodyLimit: MAX_CONFIG_BYTES,
      schema: {
        operationId: 'pushConfigVersion',
        summary: 'Push a config version: the document in YAML or JSON, up to 1 MiB',
        description:
          'A name keeps its bytes for good: the same bytes again are answered with 200 (412 with `If-None-Match: *`), others with 409.',
        tags: ['config'],
        params: VersionPath,
        querystring: PushQuery,
        headers: NewOnly,
        body: { content: { 'application/yaml': document, 'application/json': document } },
        response: {
          200: {
            description: 'It is there already, with the same bytes; or, with `dryRun`, what would come of it.',
            content: { 'application/json': { schema: Type.Union([ConfigVersionEntry, ConfigCheck]) } },
          },
          201: ConfigVersionEntry,
          ...errors(400, 401, 403, 409, 412, 413, 415, 503),
          422: configInvalid,
        },
      },
      handler: async (request, reply) => {
        const name = request.params.version
        const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
        const format = formatOf(request.headers['content-type'])
        if (request.query.dryRun) {
          const loaded = await config.versions.check(name, bytes, format)
          if ('faults' in loaded) throw new ParleyError('config_invalid', { faults: loaded.faults })
          return reply.send({ ...comparison(config, loaded.version), size: bytes.byteLength })
        }
        const { id, name: who } = principalOf(request)
        const { entry, created } = await config.versions.push({ id, name: who }, name, bytes, format)
        if (!created && request.headers['if-none-match']?.trim() === '*') {
          throw new ParleyError('version_conflict', { message: 'It is there already.', param: 'if-none-match' })
        }
        if (created) reply.code(201).header('location', `/api/v1/config/versions/${name}`)
        return reply.header('etag', `"${entry.hash}"`).send(presentVersion(entry, config.rollouts.view()))
      },
    })
  })
}

/** What would come of a sound version: whether a second operator has to agree, above all. */
function comparison({ versions, rollouts, diff }: ServedConfig, version: ConfigVersion) {
  const stable = versions.get(rollouts.view().stable.version)
  return {
    name: version.name,
    hash: version.hash,
    description: version.document.description,
    against: stable?.name ?? null,
    weakenings: stable ? diff(stable, version).weakenings : [],
  }
}
