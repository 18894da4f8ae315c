import { readFile } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import type { ConfigDiff } from '#config/diff.ts'
import { describeFault } from '#config/fault.ts'
import type { RolloutView } from '#config/rollouts.ts'
import type { ConfigCheck, ConfigVersionEntry } from '#transport/schema-config.ts'
import type { Call, Command } from './command.ts'
import { Misused, Refused } from './faults.ts'
import { count, instant, table } from './layout.ts'
import { renderDiff, renderWeakenings } from './render-diff.ts'

const versions = '/api/v1/config/versions'
const at = (version: string) => `${versions}/${encodeURIComponent(version)}`

export const versionCommands: Record<string, Command> = {
  push: {
    operands: ['<file>'],
    flags: '[--name <version>] [--dry-run]',
    summary: 'check a file, and push it as a version of its name',
    options: { name: { type: 'string' }, 'dry-run': { type: 'boolean' } },
    run: push,
  },
  list: {
    operands: [],
    flags: '',
    summary: 'all versions, and whom they serve',
    options: {},
    async run({ client, show }) {
      const { body } = await client.ask<{ items: ConfigVersionEntry[] }>('GET', versions)
      show(body, () =>
        table(['VERSION', 'STATUS', 'SERVES', 'FIRST SEEN', 'PUSHED BY', 'DESCRIPTION'], body.items.map(rowOf)),
      )
    },
  },
  show: {
    operands: ['<version>'],
    flags: '',
    summary: 'the document as it was pushed; with --json what is known of it',
    options: {},
    async run({ client, host, operand, flag }) {
      const { body } = await client.ask<ConfigVersionEntry>('GET', at(operand(0)))
      if (flag('json')) return host.out(`${JSON.stringify(body, null, 2)}\n`)
      host.out(await client.bytes(at(operand(0)), 'application/yaml'))
      for (const fault of body.faults) host.err(`${describeFault(body.name, fault)}\n`)
    },
  },
  diff: {
    operands: ['<from>', '<to>'],
    flags: '',
    summary: 'what a version changes, texts by words',
    options: {},
    async run({ client, operand, show }) {
      const { body } = await client.ask<ConfigDiff>('GET', `${at(operand(0))}/diff/${encodeURIComponent(operand(1))}`)
      show(body, () => renderDiff(body))
    },
  },
  approve: {
    operands: ['<version>'],
    flags: '',
    summary: "a second operator's word on a version that guards less",
    options: {},
    async run({ client, operand, show }) {
      const { body } = await client.ask<ConfigVersionEntry>('POST', `${at(operand(0))}/approve`)
      const { name, uploadedBy, approvedBy } = body
      const next = uploadedBy
        ? ''
        : 'Nobody knows who put it there: if it guards less, somebody else has to start it.\n'
      show(body, () => `${name} is approved by ${approvedBy?.name}.\n${next}`)
    },
  },
}

const unreadable: Readonly<Record<string, string>> = {
  ENOENT: 'is not there',
  EISDIR: 'is a folder',
  EACCES: 'may not be read',
}

async function push(call: Call): Promise<void> {
  const { client, host, operand, flag, text, show } = call
  const file = operand(0)
  const extension = extname(file).toLowerCase()
  const version = text('name') ?? basename(file, extname(file))
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new Misused(`${file} ${unreadable[error.code ?? ''] ?? `cannot be read: ${error.message}`}.`)
  })
  const headers = { 'content-type': extension === '.json' ? 'application/json' : 'application/yaml' }
  try {
    if (flag('dry-run')) {
      const { body } = await client.ask<ConfigCheck>('PUT', `${at(version)}?dryRun=true`, { headers, bytes })
      return show(body, () => `${version} is sound; it was not pushed.\n${renderWeakenings(body)}`)
    }
    const { status, body } = await client.ask<ConfigVersionEntry>('PUT', at(version), { headers, bytes })
    const pushed = status === 201 ? 'is pushed' : 'is there already, with the same bytes'
    const change = flag('json') ? '' : await changeAgainstStable(call, version)
    show(
      body,
      () => `${version} ${pushed} (${count(body.size, 'byte')}, SHA-256 ${body.hash.slice(0, 12)}…).\n${change}`,
    )
  } catch (error) {
    if (error instanceof Refused && error.code === 'body_too_large' && !flag('json')) {
      error.message = `${file} has ${count(bytes.length, 'byte')}; a config version has at most 1 MiB.`
    }
    if (!(error instanceof Refused) || !error.body.error.faults || flag('json')) throw error
    const { faults } = error.body.error
    host.err(faults.map((fault) => `${describeFault(file, fault)}\n`).join(''))
    error.message = `${version} has ${count(faults.length, 'fault')} and was not pushed.`
    throw error
  }
}

/** What the push comes to, in a line or two: it is done, whatever can be said of it. */
async function changeAgainstStable(call: Call, version: string): Promise<string> {
  try {
    return await changesOf(call, version)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return `What it changes could not be told: ${error.message}\n`
  }
}

async function changesOf({ client }: Call, version: string): Promise<string> {
  const { stable } = (await client.ask<RolloutView>('GET', '/api/v1/config/rollout')).body
  if (stable.version === version) return ''
  const { body } = await client.ask<ConfigDiff>('GET', `${at(stable.version)}/diff/${encodeURIComponent(version)}`)
  return `${count(body.changes.length, 'change')} against ${stable.version}.\n${renderWeakenings(body)}`
}

function rowOf({ name, status, serves, firstSeenAt, uploadedBy, description, faults }: ConfigVersionEntry): string[] {
  const state = status === 'sound' ? status : `${status} (${count(faults.length, 'fault')})`
  const share = serves ? `${serves.as}, ${serves.percent} %` : '-'
  return [name, state, share, instant(firstSeenAt), uploadedBy?.name ?? '-', description ?? '-']
}
