import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { noSpans, type Spans } from '#telemetry/spans.ts'
import type { Candidate } from './answer.ts'
import { Answering } from './answering.ts'
import { Deployment, deploymentKey } from './deployment.ts'
import type { TokenCounter } from './metering.ts'
import type { ModelHealth, Models } from './models.ts'
import { Probes } from './probes.ts'
import type { Providers } from './providers/providers.ts'
import { countMessages, countTokens } from './tokenizer.ts'

export interface ModelsOptions {
  /** Closed by whoever made them, after the models. */
  providers: Pick<Providers, 'providerFor'>
  clock: Clock
  log: Log
  /** For jitter; `Math.random` when absent. */
  random?: () => number
  counter?: TokenCounter
  /** None when absent. */
  spans?: Spans
}

export function createModels(options: ModelsOptions): Models {
  const { providers, clock, log, random = Math.random, counter = { countTokens, countMessages } } = options
  const { providerFor } = providers
  const { spans = noSpans } = options
  const deployments = new Map<string, Deployment>()
  let inUse: { name: string; deployment: Deployment }[] = []

  const probes = new Probes({
    providerFor,
    clock,
    log,
    inUse: (deployment) => inUse.some((used) => used.deployment === deployment),
  })

  const deploymentOf = (candidate: Candidate): Deployment => {
    const key = deploymentKey(candidate)
    const known = deployments.get(key)
    if (known) return known
    const onOpen = (opened: Deployment, openMs: number) => probes.plan(opened, openMs)
    const deployment = new Deployment(candidate.spec, { clock, random, log, onOpen })
    deployments.set(key, deployment)
    return deployment
  }

  return {
    answer: (request, sink) =>
      new Answering({ providerFor, deploymentOf, counter, clock, log, spans }, request, sink).run(),

    use(candidates: readonly Candidate[]) {
      inUse = []
      for (const candidate of candidates) {
        const { name } = candidate
        const deployment = deploymentOf(candidate)
        const listed = inUse.filter((used) => used.deployment === deployment)
        // Of several versions that use it the first is asked for how it is probed.
        if (listed.length === 0) deployment.spec = candidate.spec
        const isListed = listed.some((used) => used.name === name)
        if (!isListed) inUse.push({ name, deployment })
      }
      const used = new Set(inUse.map(({ deployment }) => deployment))
      for (const [key, deployment] of deployments) {
        if (used.has(deployment)) probes.planIfOpen(deployment)
        else if (deployment.idle) deployments.delete(key)
      }
    },

    health: () => inUse.map(({ name, deployment }) => deployment.health(name)),

    setCircuit(name, state): ModelHealth | undefined {
      const named = inUse.filter((used) => used.name === name).map(({ deployment }) => deployment)
      for (const deployment of named) deployment.breaker.hold(state)
      return named[0]?.health(name)
    },

    close: () => probes.close(),
  }
}
