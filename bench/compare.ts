import { type Run, reportChat } from './chat-report.ts'
import { type Harness, type Measured, startHarness } from './harness.ts'
import { jobOf, MODES, type Mode } from './modes.ts'
import type { BenchOptions, PartReport } from './parts.ts'
import { startSharedState } from './shared-state.ts'
import { type Surroundings, startTarget, TARGETS, type Target, type TargetName } from './targets.ts'

const WARM_UP: readonly Mode[] = ['dense', 'short', 'paced']

/** All targets under the same loads, in turns, so that a slow moment of the machine hits all alike. */
export async function compareChat(options: BenchOptions): Promise<PartReport> {
  const chosen = <Name extends string>(all: readonly Name[], wanted: readonly string[]) =>
    all.filter((name) => wanted.length === 0 || wanted.includes(name))
  const names = chosen(TARGETS, options.targets)
  const modes = chosen(Object.keys(MODES) as Mode[], options.modes)
  await using opened = new AsyncDisposableStack()
  const harness = opened.use(await startHarness())
  const shared = opened.use(await startSharedState())
  const { upstreamUrl } = harness
  const surroundings = { upstreamUrl, shared, core: options.cores?.target, profiles: options.profiles }
  const targets: Target[] = []
  for (const name of names) {
    const target = opened.use(await startTarget(name, surroundings))
    targets.push(target)
    for (const mode of WARM_UP) await measure(harness, target, mode, false)
  }

  const runs: Run[] = []
  for (let round = 0; round < options.rounds; round++) {
    for (const mode of modes) {
      for (const target of rotated(targets, round)) {
        const measured = await (mode === 'idle'
          ? measureFresh(harness, target.name, surroundings, options.quick)
          : measure(harness, target, mode, options.quick))
        runs.push({ round, mode, target: target.name, ...measured })
        options.say(progress(round, mode, target, measured))
      }
    }
  }
  return reportChat(runs, modes, names)
}

function measure(
  harness: Harness,
  { dialect, server, redisPid }: Target,
  mode: Mode,
  quick: boolean,
): Promise<Measured> {
  const { upstreamUrl } = harness
  return harness.measure(server.pid, jobOf(mode, { dialect, url: server.url, upstreamUrl }, quick), redisPid)
}

/** In a process of its own: memory that an earlier load left behind would hide what this one takes. */
async function measureFresh(harness: Harness, name: TargetName, surroundings: Surroundings, quick: boolean) {
  await using target = await startTarget(name, { ...surroundings, profiles: undefined })
  await measure(harness, target, 'short', true)
  return await measure(harness, target, 'idle', quick)
}

function rotated<Item>(items: readonly Item[], by: number): Item[] {
  const from = by % items.length
  return [...items.slice(from), ...items.slice(0, from)]
}

function progress(round: number, mode: Mode, { name }: Target, { report, harnessBusy, cpuMs }: Measured): string {
  const faults = Object.keys(report.faults).length > 0 ? ` FAULTS ${JSON.stringify(report.faults)}` : ''
  const busy = `CPU ${(cpuMs / 1000).toFixed(2)} s, harness ${Math.round(harnessBusy * 100)} %`
  return `round ${round + 1}: ${mode}, ${name}: ${report.seconds.toFixed(2)} s, ${busy}${faults}`
}
