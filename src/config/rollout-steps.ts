export interface HeldBack {
  weight: number
  conversations: number
}

/**
 * Index of the first step by which a version is held back less than by `floors`: it gives the candidate to more, or asks for
 * less. A missing step has the index that it would have. Further steps than there are floors only take more time.
 */
export function firstLooser(steps: readonly HeldBack[], floors: readonly HeldBack[]): number | undefined {
  const at = floors.findIndex((floor, index) => {
    const step = steps[index]
    return !step || step.weight > floor.weight || step.conversations < floor.conversations
  })
  return at < 0 ? undefined : at
}
