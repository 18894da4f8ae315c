import type { LimitFigure, LimitFigures } from '#errors.ts'

/** What is left to the caller, as clients of OpenAI read it. */
export function limitHeaders({ requests, tokens }: LimitFigures = {}): Record<string, string> {
  return { ...headersOf('requests', requests), ...headersOf('tokens', tokens) }
}

function headersOf(what: string, figure: LimitFigure | undefined): Record<string, string> {
  if (!figure) return {}
  return {
    [`x-ratelimit-limit-${what}`]: String(figure.limit),
    [`x-ratelimit-remaining-${what}`]: String(figure.remaining),
    [`x-ratelimit-reset-${what}`]: durationOf(figure.resetMs),
  }
}

/** `120ms`, `7s`, `6m0s`, `23h4m0s`. */
function durationOf(ms: number): string {
  if (ms < 1000) return `${Math.ceil(ms)}ms`
  const seconds = Math.ceil(ms / 1000)
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  return `${hours > 0 ? `${hours}h` : ''}${seconds >= 60 ? `${minutes}m` : ''}${seconds % 60}s`
}
