import type { ConfigVersion } from '#config/document.ts'
import type { Assignment, Pin, Serving } from '#config/serving.ts'
import { ParleyError } from '#errors.ts'

/** What serves whom, as a test says. */
export class ScriptedServing implements Serving {
  /** Of the rollout that lasts, if one does. */
  cohort = 'r1.0'
  /** What is drawn next; stable when it says nothing. */
  draw: (unit: string) => 'stable' | 'canary' = () => 'stable'
  /** Versions that were rolled back, and when. */
  readonly rolledBack = new Map<string, number>()
  /** Every unit that was drawn, in order. */
  readonly drawn: string[] = []
  readonly #listeners = new Set<() => void>()
  readonly #versions: ReadonlyMap<string, ConfigVersion>
  #stable: ConfigVersion
  #candidate: ConfigVersion | undefined

  constructor(stable: ConfigVersion, candidate?: ConfigVersion, others: readonly ConfigVersion[] = []) {
    this.#stable = stable
    this.#candidate = candidate
    const all = [stable, ...(candidate ? [candidate] : []), ...others]
    this.#versions = new Map(all.map((version) => [version.name, version]))
  }

  get(name: string): ConfigVersion | undefined {
    return this.#versions.get(name)
  }

  /** The rollout ends: everyone gets this version. */
  settle(stable: ConfigVersion, at: number): void {
    if (this.#candidate && this.#candidate !== stable) this.rolledBack.set(this.#candidate.name, at)
    this.#stable = stable
    this.#candidate = undefined
    for (const listener of this.#listeners) listener()
  }

  stable(): ConfigVersion {
    return this.#stable
  }

  candidate(): ConfigVersion | undefined {
    return this.#candidate
  }

  assign(unit: string): Assignment {
    this.drawn.push(unit)
    if (!this.#candidate) return { config: this.#stable, arm: 'stable', cohort: '' }
    const arm = this.draw(unit)
    return { config: arm === 'canary' ? this.#candidate : this.#stable, arm, cohort: this.cohort }
  }

  pick(version: string): Assignment {
    const config = this.get(version)
    if (!config) throw new ParleyError('config_not_found')
    return { config, arm: config === this.#candidate ? 'canary' : 'stable', cohort: 'picked' }
  }

  resolve(pin: Pin): Assignment {
    const config = this.get(pin.config)
    if (config && (pin.cohort === 'picked' || (this.#candidate && pin.cohort === this.cohort))) {
      return { config, arm: pin.arm, cohort: pin.cohort }
    }
    return { config: this.#stable, arm: 'stable', cohort: '' }
  }

  rolledBackSince(version: string, at: number): boolean {
    return (this.rolledBack.get(version) ?? Number.NEGATIVE_INFINITY) >= at
  }

  inUse(): ConfigVersion[] {
    return [this.#stable, ...(this.#candidate ? [this.#candidate] : [])]
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
