import { createHash } from 'node:crypto'
import type { ConfigDiff } from '#config/diff.ts'
import type { ConfigVersion } from '#config/document.ts'
import type { LocatedFault } from '#config/fault.ts'
import type { Transition } from '#config/rollout/state.ts'
import type { Decision, RolloutView } from '#config/rollouts.ts'
import type { VersionEntry } from '#config/version-entry.ts'
import { ParleyError } from '#errors.ts'
import type { ServedConfig } from '#transport/config-deps.ts'
import { chatConfig } from './chat-config.ts'

type Asked = [method: string, ...given: unknown[]]

const DAY = 86_400_000

/** Versions and a rollout that do what a test says: for the shapes and the faults of transports, without a store. */
export class ScriptedConfig implements ServedConfig {
  /** Every call that changes something, in order. */
  readonly asked: Asked[] = []
  readonly entries = new Map<string, VersionEntry>()
  readonly sources = new Map<string, { bytes: Buffer; format: 'yaml' | 'json' }>()
  readonly past: Transition[] = []
  readonly env: { eventGridKey: string | undefined } = { eventGridKey: undefined }
  /** What a push or a check finds; sound when there are none. */
  faults: LocatedFault[] = []
  /** What every difference says of itself. */
  weakenings: ConfigDiff['weakenings'] = []
  /** All further decisions are refused with this. */
  refusal: Error | undefined
  readers = 0
  #view: RolloutView
  #changed = Promise.withResolvers<void>()

  constructor() {
    const stable = this.add('v002', 'description: second\n')
    this.#view = {
      etag: 'e1',
      epoch: 1,
      stable: { version: stable.name, hash: stable.hash },
      live: null,
      verdict: { decision: 'hold', sentence: 'No rollout is live.' },
      figures: null,
      waiting: [],
      finished: [],
      leader: true,
      reachable: true,
      unreadable: false,
      diverged: null,
    }
  }

  add(name: string, text: string, more: Partial<VersionEntry> = {}): VersionEntry {
    const bytes = Buffer.from(text)
    const hash = createHash('sha256').update(bytes).digest('hex')
    const entry: VersionEntry = {
      name,
      hash,
      size: bytes.byteLength,
      description: 'for a test',
      firstSeenAt: 20_000 * DAY,
      uploadedBy: null,
      approvedBy: null,
      status: 'sound',
      faults: [],
      ...more,
    }
    this.entries.set(name, entry)
    this.sources.set(name, { bytes, format: 'yaml' })
    return entry
  }

  /** The rollout changes; who follows it hears of it. */
  become(change: Partial<RolloutView>): RolloutView {
    const epoch = this.#view.epoch + 1
    this.#view = { ...this.#view, epoch, etag: `e${epoch}`, ...change }
    this.#wake()
    return this.#view
  }

  readonly versions = {
    get: (name: string): ConfigVersion | undefined => {
      const entry = this.entries.get(name)
      return entry?.status === 'sound' ? { name, hash: entry.hash, document: chatConfig({}) } : undefined
    },
    list: () => [...this.entries.values()].reverse(),
    source: async (name: string) => {
      const source = this.sources.get(name)
      if (!source) throw new ParleyError('config_not_found')
      return source
    },
    push: async (by: { id: string; name: string } | null, name: string, bytes: Uint8Array, format: 'yaml' | 'json') => {
      this.asked.push(['push', by, name, Buffer.from(bytes).toString(), format])
      if (this.faults.length > 0) throw new ParleyError('config_invalid', { faults: this.faults })
      const present = this.entries.get(name)
      const entry = { ...this.add(name, Buffer.from(bytes).toString()), uploadedBy: by }
      if (present && present.hash !== entry.hash) {
        this.entries.set(name, present)
        throw new ParleyError('config_exists')
      }
      this.entries.set(name, present ?? entry)
      this.sources.set(name, { bytes: Buffer.from(bytes), format })
      return { entry: present ?? entry, created: present === undefined }
    },
    check: async (name: string, bytes: Uint8Array) => {
      if (this.faults.length > 0) return { faults: this.faults }
      const hash = createHash('sha256').update(bytes).digest('hex')
      return { version: { name, hash, document: chatConfig({}) } }
    },
    approve: async (by: { id: string; name: string }, name: string) => {
      const entry = this.entries.get(name)
      if (!entry) throw new ParleyError('config_not_found')
      if (entry.uploadedBy?.id === by.id) throw new ParleyError('forbidden')
      const approved = { ...entry, approvedBy: by }
      this.entries.set(name, approved)
      return approved
    },
    refresh: async () => {
      this.asked.push(['refresh'])
    },
  }

  readonly rollouts = {
    view: () => this.#view,
    follow: (signal: AbortSignal) => this.#follow(signal),
    history: async (limit: number) => this.past.slice(0, limit),
    start: (by: { name: string }, request: { version: string; waive?: readonly string[]; ifMatch: string }) =>
      this.#decide('start', by, request),
    promote: (by: { name: string }, request: Decision) => this.#decide('promote', by, request),
    pause: (by: { name: string }, request: Decision) => this.#decide('pause', by, request),
    resume: (by: { name: string }, request: Decision) => this.#decide('resume', by, request),
    rollback: (by: { name: string }, request: Decision) => this.#decide('rollback', by, request),
    restore: (by: { name: string }, request: Decision) => this.#decide('restore', by, request),
  }

  readonly diff = (from: { name: string }, to: { name: string }): ConfigDiff => {
    return { from: from.name, to: to.name, identical: false, changes: [], weakenings: this.weakenings }
  }

  async #decide(what: string, by: { name: string }, request: { ifMatch: string }): Promise<RolloutView> {
    this.asked.push([what, by.name, request])
    if (this.refusal) throw this.refusal
    if (request.ifMatch !== this.#view.etag) throw new ParleyError('version_conflict')
    return this.become({ verdict: { decision: 'hold', sentence: `After ${what}.` } })
  }

  async *#follow(signal: AbortSignal): AsyncGenerator<RolloutView> {
    const onAbort = () => this.#wake()
    signal.addEventListener('abort', onAbort)
    this.readers++
    try {
      for (let seen = -1; !signal.aborted; ) {
        const view = this.#view
        if (view.epoch > seen) {
          seen = view.epoch
          yield view
        } else await this.#changed.promise
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.readers--
    }
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}
