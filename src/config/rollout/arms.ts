import { hash } from 'node:crypto'
import type { Arm } from '../serving.ts'

/** 48 bits, as many as fit a number exactly. */
const DIGITS = 12
const SPAN = 16 ** DIGITS

/** The arm of a unit at a weight in percent: the same for the same salt, and spread evenly over units. */
export function drawArm(salt: string, unit: string, weight: number): Arm {
  const place = Number.parseInt(hash('sha256', `${salt}\n${unit}`).slice(0, DIGITS), 16) / SPAN
  return place * 100 < weight ? 'canary' : 'stable'
}

/** The name of the cohort of all units that are assigned at the weight of one step of one rollout. */
export function cohortOf(rollout: string, step: number): string {
  return `${rollout}.${step}`
}

/** Undefined for what is no cohort of a rollout. */
export function readCohort(cohort: string): { rollout: string; step: number } | undefined {
  const [, rollout, step] = /^(roll_[0-9a-f]{32})\.(\d{1,2})$/.exec(cohort) ?? []
  return rollout === undefined ? undefined : { rollout, step: Number(step) }
}
