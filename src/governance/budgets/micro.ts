/** Counters are integers: millionths of a USD, rounded up, so that no call is free that is not. */
export function toMicro(usd: number): number {
  // 0.1 + 0.2 is not to cost a millionth more than 0.3.
  return Math.ceil(usd * 1_000_000 - 1e-6)
}

export function toUsd(micro: number): number {
  return micro / 1_000_000
}
