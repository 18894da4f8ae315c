import { LRUCache } from 'lru-cache'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { type BackendsEnv, openBackends } from './backends.ts'
import type { EndedTurn, SettledRun } from './facts.ts'
import type { OpenMeters, Service } from './meters.ts'
import { Observer } from './observations.ts'
import { Recording } from './record.ts'
import type { Sources } from './sources.ts'
import { noSpans, type Spans } from './spans.ts'

/** The public face of `telemetry/`: metrics and spans. It is told facts by the root, and knows no module above it. */
export interface Telemetry {
  spans: Spans
  /** What is looked at when metrics are asked for; once. */
  observe(sources: Sources, isAction: (name: string) => boolean): void
  /** Facts are told at least once: one of the same id is recorded once, by this replica. */
  turnEnded(id: string, turn: EndedTurn): void
  /** Of what is told once. */
  relayEnded(relay: EndedTurn): void
  runSettled(id: string, run: SettledRun): void
  /** All metrics in the text format of Prometheus. */
  scrape(): Promise<string>
  /** Loads what records; done by the first who asks, otherwise. */
  prepare(): Promise<void>
  /** Sends what is left, for a short time at most. */
  close(): Promise<void>
}

export interface TelemetryOptions {
  env: BackendsEnv
  service: Service
  clock: Clock
  log: Log
}

/** What is kept until what records is loaded. */
const KEPT = 1000
/** Ids of what was recorded lately. */
const REMEMBERED = 10_000
const LAST_WORDS_MS = 3000

/** Nothing but what is configured is loaded before the process serves. */
export async function openTelemetry({ env, service, clock, log }: TelemetryOptions): Promise<Telemetry> {
  const backends = await openBackends(env, service)
  const spans = backends ? (await import('./tracing.ts')).spansOf(backends.tracers.getTracer('parley')) : noSpans
  let observer: Observer | undefined
  let isKnown = (_action: string) => false
  let recording: Recording | undefined
  let loading: Promise<OpenMeters> | undefined
  const told = new LRUCache<string, true>({ max: REMEMBERED })
  let kept: ((recording: Recording) => void)[] = []

  async function load(): Promise<OpenMeters> {
    const { openMeters } = await import('./meters.ts')
    const shared = backends && { provider: backends.meters, reader: backends.reader, readers: backends.readers }
    const opened = openMeters({ observe: async () => observer?.look() ?? [], service, clock, ...shared })
    recording = new Recording(opened.instruments)
    for (const record of kept) record(recording)
    kept = []
    return opened
  }

  function ready(): Promise<OpenMeters> {
    loading ??= load()
    return loading
  }

  function tellOnce(id: string, record: (recording: Recording) => void): void {
    if (told.has(id)) return
    told.set(id, true)
    tell(record)
  }

  function tell(record: (recording: Recording) => void): void {
    if (recording) return record(recording)
    kept.push(record)
    if (kept.length >= KEPT) void ready()
  }

  async function shutDown(): Promise<void> {
    observer?.close()
    await (await loading)?.close()
    await backends?.close()
  }

  return {
    spans,
    observe(sources, isAction) {
      observer = new Observer(clock, sources)
      isKnown = isAction
    },
    turnEnded: (id, turn) => tellOnce(id, (all) => all.turn(turn)),
    relayEnded: (relay) => tell((all) => all.turn(relay)),
    runSettled: (id, run) => tellOnce(id, (all) => all.run(run, isKnown)),
    scrape: async () => (await ready()).scrape(),
    async prepare() {
      await ready()
    },
    async close() {
      const over = Promise.withResolvers<void>()
      const stopWaiting = clock.after(LAST_WORDS_MS, over.resolve)
      const closed = shutDown().catch((error) => log.warn({ err: error }, 'The last telemetry could not be sent'))
      await Promise.race([closed, over.promise])
      stopWaiting()
    },
  }
}
