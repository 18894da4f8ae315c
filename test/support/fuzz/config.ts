import { readFileSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parse, stringify } from 'yaml'
import type { ConfigDocument } from '#config/document.ts'
import { rawTarget } from '../http-target.ts'

/** Of new conversations in percent, and how many a step waits for: more than there will be, so that people decide. */
const STEPS = [
  [5, 500],
  [50, 500],
] as const

/** What is served is this; the shipped versions are there beside it. */
const SERVED = 'v003'

export interface FuzzConfig extends AsyncDisposable {
  variables: Record<string, string>
  /** Documents that can be pushed: as they stand, with less approval, with faults. */
  documents: readonly { type: string; text: string }[]
}

/**
 * The shipped service desk, with a model that is slow enough to be caught at work, and with actions that come to an end that only
 * people can settle: one whose target always fails, and one whose target leaves it open what it has done.
 */
export async function fuzzConfig(): Promise<FuzzConfig> {
  await using opened = new AsyncDisposableStack()
  const target = opened.use(await rawTarget((socket) => socket.once('data', () => socket.destroy())))
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-fuzz-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  await cp('config-versions', folder, { recursive: true })
  const shipped = parse(readFileSync('config-versions/v002.yaml', 'utf8')) as ConfigDocument
  const document = withMore(shipped, target.origin)
  await writeFile(path.join(folder, `${SERVED}.json`), JSON.stringify(document))
  const closing = opened.move()
  return {
    variables: {
      PARLEY_CONFIG_DIR: folder,
      PARLEY_EGRESS_HOSTS: '127.0.0.1',
      PARLEY_ROLLOUT_STARTS: 'by-hand',
      PARLEY_SHED_DELAY_MS: '0',
    },
    documents: [
      { type: 'application/yaml', text: stringify({ ...document, description: 'As YAML' }) },
      { type: 'application/json', text: JSON.stringify({ ...document, description: 'Pushed' }) },
      { type: 'application/json', text: JSON.stringify(withoutApproval(document)) },
      { type: 'application/json', text: JSON.stringify({ ...document, routes: {} }) },
      { type: 'application/yaml', text: 'a: &a [*a]' },
      { type: 'application/yaml', text: `- ${'['.repeat(5000)}` },
      { type: 'application/yaml', text: '? {a: 1}\n: !!js/function x' },
    ],
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

function withMore(document: ConfigDocument, origin: string): ConfigDocument {
  const { hermes } = document.specialists
  const ticket = document.actions?.create_ticket
  if (!hermes || !ticket) throw new Error('The shipped config has no service desk.')
  const parameters = { type: 'object', additionalProperties: false, properties: { note: { type: 'string' } } } as const
  const http = { method: 'POST', url: `${origin}/do` } as const
  const write = { parameters, http, access: 'write', timeoutMs: 2000, retries: 0 } as const
  const [fast, slow] = [{ pace: 100_000 }, { pace: 40 }]
  const models = Object.entries(document.models).map(([name, model]) => [name, { ...model, ...fast }])
  return {
    ...document,
    rollout: { steps: STEPS.map(([weight, conversations]) => ({ weight, conversations })) },
    models: { ...Object.fromEntries(models), slow: { ...Object(document.models.primary), ...slow } },
    routes: { ...document.routes, slow: { models: ['slow'] } },
    specialists: {
      ...document.specialists,
      hermes: { ...hermes, actions: [...(hermes.actions ?? []), 'fail', 'doubt'] },
      sisyphus: { title: 'Slow', instructions: 'Take your time.', route: 'slow' },
    },
    actions: {
      ...document.actions,
      create_ticket: { ...ticket, undo: { action: 'close_ticket', arguments: { ticket: '{result.ticket}' } } },
      fail: { ...write, description: 'Never works', effect: 'idempotent' },
      doubt: { ...write, description: 'Nobody knows whether it worked', effect: 'at-most-once' },
    },
  }
}

function withoutApproval(document: ConfigDocument): ConfigDocument {
  const actions = Object.entries(document.actions ?? {}).map(([name, { approval: _, ...action }]) => [name, action])
  return { ...document, actions: Object.fromEntries(actions) }
}
