import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ConfigVersion } from '#config/document.ts'
import type { RolloutView } from '#config/rollouts.ts'
import type { VersionEntry } from '#config/version-entry.ts'
import { ParleyError } from '#errors.ts'
import type { ServedConfig } from './config-deps.ts'
import { tagToMatch } from './etag.ts'

/** An entry as it is shown: with what it serves at present. */
export function presentVersion(entry: VersionEntry, view: RolloutView) {
  return { ...entry, serves: servesAs(entry.name, view) }
}

function servesAs(name: string, { stable, live }: RolloutView) {
  // What is paused goes on serving those who have it, and nobody new.
  const canary = live && live.status !== 'paused' ? (live.steps[live.step]?.weight ?? 0) : 0
  if (live?.candidate.version === name) return { as: 'canary' as const, percent: canary }
  return stable.version === name ? { as: 'stable' as const, percent: 100 - canary } : null
}

/** Rejects with config_not_found. One that is old is known once somebody has asked for it and it was looked for. */
export async function findVersion({ versions }: Pick<ServedConfig, 'versions'>, name: string): Promise<VersionEntry> {
  const listed = () => versions.list().find((one) => one.name === name)
  const known = listed()
  if (known) return known
  versions.get(name)
  await versions.refresh()
  const found = listed()
  if (found) return found
  const message = `There is no config version ${JSON.stringify(name)}.`
  throw new ParleyError('config_not_found', { param: 'version', message })
}

/** A sound version as it is served; one that has not been asked for lately is read again. */
export async function readVersion(config: Pick<ServedConfig, 'versions'>, name: string): Promise<ConfigVersion> {
  const { versions } = config
  const present = versions.get(name)
  if (present) return present
  await findVersion(config, name)
  const found = versions.get(name)
  if (found) return found
  const { bytes, format } = await versions.source(name)
  const loaded = await versions.check(name, bytes, format)
  if ('faults' in loaded) throw new ParleyError('config_invalid', { faults: loaded.faults })
  return loaded.version
}

/** As a header: some stores quote theirs themselves. */
export function tagOf({ etag }: { etag: string }): string {
  return etag.startsWith('"') ? etag : `"${etag}"`
}

/** What several operators may decide on, each on what they have seen; `name` is where an answer of 412 has it. */
export interface Decided<View> {
  name: 'rollout' | 'shadow'
  present(): View | Promise<View>
}

/** Decides on the state that the caller has seen. Whoever comes second is shown what the first has made of it. */
export async function decideOn<View extends { etag: string }>(
  { name, present }: Decided<View>,
  request: FastifyRequest,
  reply: FastifyReply,
  decide: (ifMatch: string) => Promise<View>,
): Promise<void> {
  try {
    const tag = tagToMatch(request)
    const { etag } = await present()
    const view = await decide(`"${tag}"` === tagOf({ etag }) ? etag : tag)
    reply.header('etag', tagOf(view)).send(view)
  } catch (error) {
    if (!(error instanceof ParleyError) || error.code !== 'version_conflict') throw error
    const view = await present()
    const body = { ...error.toBody(request.id), [name]: view }
    reply.code(error.status).header('etag', tagOf(view)).send(body)
  }
}
