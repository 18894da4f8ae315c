import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { BlobServiceClient, ContainerSASPermissions } from '@azure/storage-blob'
import { startAzurite } from '../../test/support/azurite.ts'
import { type Replica, startReplica } from '../../test/support/replica.ts'
import { startSharedEngines } from '../../test/support/shared-engines.ts'
import { startUpstream } from '../../test/support/upstream.ts'
import { answers } from './versions.ts'

/** Replicas as in earnest, on one machine: a real Redis, PostgreSQL, Azurite, a broker, and a provider that is made up. */
export interface Fleet extends AsyncDisposable {
  /** Those that are alive. */
  replicas: readonly Replica[]
  /** One more. */
  add(): Promise<Replica>
  /** SIGKILL. */
  kill(replica: Replica): Promise<void>
  /** As anybody would who has never heard of Parley: a PUT of a blob into the container. */
  upload(name: string, text: string): Promise<void>
  /** Where such a PUT goes, with what permits it. */
  addressOf(name: string): string
}

export interface FleetOptions {
  replicas: number
  /** The version that serves at first. */
  first: { name: string; text: string }
  /** Of the environment, for each replica. */
  variables: Record<string, string>
  say?(line: string): void
}

const CONTAINER = 'config-versions'
const PERMITTED_MS = 24 * 3_600_000

export async function startFleet({ replicas: count, first, variables, say = () => {} }: FleetOptions): Promise<Fleet> {
  await using opened = new AsyncDisposableStack()
  const upstream = await startUpstream(({ model }) => {
    // Of what it was asked it keeps nothing: a fleet may be up for hours.
    upstream.requests.length = 0
    return answers[String(model)]
  })
  opened.defer(() => upstream.close())
  say('Redis, PostgreSQL and a broker')
  const engines = opened.use(await startSharedEngines())
  say('Azurite')
  const { connectionString } = opened.use(await startAzurite())
  const container = BlobServiceClient.fromConnectionString(connectionString).getContainerClient(CONTAINER)
  await container.create()
  const permission = await container.generateSasUrl({
    permissions: ContainerSASPermissions.parse('rcwl'),
    expiresOn: new Date(Date.now() + PERMITTED_MS),
  })
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-fleet-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))

  const addressOf = (name: string) => {
    const address = new URL(permission)
    address.pathname += `/${name}.yaml`
    return address.href
  }
  const upload = async (name: string, body: string) => {
    const headers = { 'x-ms-blob-type': 'BlockBlob' }
    const response = await fetch(addressOf(name), { method: 'PUT', headers, body })
    if (response.status !== 201) throw new Error(`The upload was answered with ${response.status}.`)
  }
  await upload(first.name, first.text)

  let started = 0
  const alive = new Set<Replica>()
  opened.defer(async () => {
    await Promise.all([...alive].map((replica) => replica.kill()))
  })
  const add = async () => {
    started += 1
    say(`replica ${started}`)
    const replica = await startReplica({
      ...engines.variables,
      AZURE_STORAGE_CONNECTION_STRING: connectionString,
      PARLEY_CONFIG_CONTAINER: CONTAINER,
      PARLEY_DATA_DIR: path.join(folder, `replica-${started}`),
      OPENAI_API_KEY: 'made-up',
      OPENAI_BASE_URL: upstream.baseUrl,
      PARLEY_LOG_LEVEL: 'error',
      ...variables,
    })
    alive.add(replica)
    return replica
  }
  // One after the other: three that start at once on two cores are slower than that.
  for (let n = 0; n < count; n++) await add()

  const closing = opened.move()
  return {
    get replicas() {
      return [...alive]
    },
    add,
    kill: (replica) => {
      alive.delete(replica)
      return replica.kill()
    },
    upload,
    addressOf,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}
