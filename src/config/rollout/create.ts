import type { RolloutEnv } from '#env.ts'
import { ParleyError } from '#errors.ts'
import type { Events } from '#events/events.ts'
import type { Log } from '#log.ts'
import type { BlobStore } from '#platform/blob/blob.ts'
import type { Clock } from '#platform/clock.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { Weakening } from '../diff.ts'
import type { ConfigVersion } from '../document.ts'
import type { RolloutListener, Rollouts, RolloutView } from '../rollouts.ts'
import type { Serving } from '../serving.ts'
import { Baselines } from './baselines.ts'
import { createBeginnings } from './beginning.ts'
import { follow } from './follow.ts'
import type { KnownVersions } from './known-versions.ts'
import { Leadership } from './leadership.ts'
import { listenForNews } from './news.ts'
import { Observing } from './observing.ts'
import { createOperators } from './operators.ts'
import { Rounds } from './rounds.ts'
import { createSecondOperator } from './second-operator.ts'
import { createServing } from './serving-now.ts'
import { SharedState } from './shared-state.ts'
import type { RolloutState } from './state.ts'
import { StateBlob } from './state-blob.ts'
import { createCounterStore } from './store/counter-store.ts'
import { newsKey } from './store/keys.ts'
import { first } from './transitions.ts'
import { viewOf } from './view.ts'
import { Watch } from './watch.ts'

export interface RolloutsOptions {
  /** The container of rollouts. */
  blobs: BlobStore
  kv: Kv
  versions: KnownVersions
  weakeningsOf(from: ConfigVersion, to: ConfigVersion): readonly Weakening[]
  clock: Clock
  log: Log
  env: RolloutEnv
  events: Events
  listener?: RolloutListener | undefined
}

const EVERY_MS = 2000
/** Beside each look: the copy of the state in the live state's store, should that store have been emptied. */
const KEEP_EVERY_MS = 60_000
/** After the start: whoever is to hear of the last step may not listen yet, and whoever took it may have died before he told. */
const TELL_AGAIN_MS = 60_000

/**
 * Rejects with blob_unavailable where the blob store is away and the live state's store has no copy of the state: what is stable
 * nobody knows then; with config_unavailable where neither stable nor anything that may stand in for it is at hand.
 */
export async function createRollouts(
  options: RolloutsOptions,
): Promise<{ rollouts: Rollouts; serving: Serving; close(): Promise<void> }> {
  const { blobs, kv, versions, weakeningsOf, clock, log, env, events, listener } = options
  const blob = new StateBlob({ blobs, kv, log })
  const counters = createCounterStore(kv, env)
  const baselines = new Baselines(kv, env)
  const leadership = new Leadership({ blobs, clock })
  const initial = await firstState(blob, versions, clock)
  // Asked for, an old one is there after a look.
  if (!versions.get(initial.stable.version)) await versions.refresh()
  const needsSecond = createSecondOperator({ weakeningsOf, env })
  const serving = createServing(versions, log, initial, needsSecond)
  const changed = new EventTarget()
  const shared = new SharedState(initial, {
    ...{ blob, counters, kv, log },
    onWritten: (step) => listener?.onStep(step),
    onChange: () => onChange(),
  })
  const watch = new Watch({ shared, counters, baselines, leadership, serving, clock, log })
  const beginnings = createBeginnings({ shared, serving, versions, counters, baselines, needsSecond, env, clock })
  const observing = new Observing({
    ...{ events, counters, baselines, clock, log },
    versionOf: versions.get,
    stable: serving.stable,
    state: () => shared.present,
    trialOf: env.trialOf,
    onNews: () => rounds.soon('judge'),
  })
  let told = ''
  const startedAtMs = clock.monotonic()
  let keptAtMs = startedAtMs

  function onChange(): void {
    const { live, stable, last } = shared.present
    serving.apply(shared.present)
    listener?.onMoved(last)
    const isMissing = [stable, ...(live ? [live.candidate] : [])].some(({ version }) => !versions.get(version))
    // It was pushed to another replica a moment ago.
    if (isMissing) void versions.refresh()
    tell()
  }

  const view = (): RolloutView =>
    viewOf(shared.present, {
      etag: shared.etag,
      verdict: watch.verdictOf(shared.present.live),
      waiting: beginnings.waiting(),
      leader: leadership.held,
      reachable: shared.reachable,
      unreadable: shared.isUnreadable,
      diverged: shared.diverged,
    })

  /** Who follows hears of each change, and of nothing else. */
  function tell(): void {
    const now = JSON.stringify(view())
    if (now === told) return
    told = now
    changed.dispatchEvent(new Event('change'))
  }

  async function round(): Promise<void> {
    // A store that is silent is waited for once: a rollback must not wait any longer.
    const [leads] = await Promise.all([leadership.keep(), shared.look()])
    await observing.flush()
    await watch.look()
    if (leads) await lead()
    if (clock.monotonic() - startedAtMs < TELL_AGAIN_MS) listener?.onMoved(shared.present.last)
    if (shared.isUnreadable) listener?.onStray('unreadable')
    else if (shared.diverged) listener?.onStray('diverged')
    tell()
  }

  async function lead(): Promise<void> {
    if (shared.isUnreadable || shared.diverged) return
    try {
      await beginnings.beginWaiting()
      if (clock.monotonic() - keptAtMs < KEEP_EVERY_MS) return
      keptAtMs = clock.monotonic()
      blob.keep()
      await blob.complete()
    } catch (error) {
      log.warn({ err: error }, 'The leader of rollouts could not do its part; it tries again')
    }
  }

  async function judge(): Promise<void> {
    await watch.look()
    tell()
  }

  const rounds = new Rounds({ clock, log, everyMs: EVERY_MS, tasks: { round, judge } })
  const operators = createOperators({
    shared,
    beginnings,
    inTurn: (work) => rounds.inTurn(() => work().then(judge)),
    now: async () => {
      const { live } = shared.present
      if (!live) return clock.now()
      return counters.read(live.id, 0).then(
        ({ now }) => now,
        () => clock.now(),
      )
    },
    view,
  })
  const stopVersions = versions.onChange(() => {
    serving.apply(shared.present)
    rounds.soon('round')
  })
  await rounds.inTurn(round)
  rounds.begin()
  const stopNews = listenForNews(kv, newsKey, () => rounds.soon('round'), clock)
  return {
    serving,
    rollouts: {
      ...operators,
      view,
      follow: (signal) => follow(view, changed, signal),
      history: (limit) => blob.history(limit),
    },
    async close() {
      stopVersions()
      await stopNews()
      await rounds.close()
      await observing.close()
      await leadership.close()
    },
  }
}

/** What is known at start: by the blob, else by its copy; where there was never one, the newest version serves everyone. */
async function firstState(blob: StateBlob, versions: KnownVersions, clock: Clock): Promise<RolloutState> {
  try {
    await blob.read()
    await blob.compare()
    if (blob.state) return blob.state
    const lastEpoch = await blob.lastEpoch()
    await blob.restore(lastEpoch)
    if (blob.state) return blob.state
    const { name: version, hash } = versions.newest()
    const occasion = { by: 'system', operator: null, evidence: null, at: clock.now() }
    const reason = `${version} is the newest version, and the first that was served.`
    await blob.forgetKept()
    const state = first({ version, hash }, lastEpoch + 1, { ...occasion, reason })
    if (await blob.write(state)) return state
    await blob.read()
    if (blob.state) return blob.state
    throw new ParleyError('blob_unavailable')
  } catch (error) {
    const isUnreadable = error instanceof ParleyError && error.code === 'rollout_state_unreadable'
    if (!isUnreadable && !(error instanceof ParleyError && error.code === 'blob_unavailable')) throw error
    const kept = await blob.kept().catch(() => undefined)
    const recorded = isUnreadable ? await blob.recorded().catch(() => undefined) : undefined
    // What ends the history is of this store for sure; the copy may be one step ahead of it, or of another journey.
    const known = recorded && kept?.epoch !== recorded.epoch + 1 ? recorded : (kept ?? recorded)
    if (known) {
      if (known === kept) blob.holdCopy(known)
      else blob.hold(known)
      return known
    }
    if (!isUnreadable) throw error
    const message =
      'state.json of the rollout cannot be read, and neither its history nor the live state has what it was. Put a copy of it back, and take it by its epoch (npx parley config restore --take) where the status says that the history has gone on from it; or take it away, and the newest version serves everyone.'
    throw new ParleyError('rollout_state_unreadable', { message })
  }
}
