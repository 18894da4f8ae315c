import { type ChildProcess, spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'

export interface HarnessRun {
  process: ChildProcess
  /** Whole, with all that it printed. */
  ended: Promise<{ code: number | null; output: string }>
}

/** A run of the tests of its own, which waits for less than one in earnest. */
export function startTests(patterns: readonly string[], variables: Record<string, string> = {}): HarnessRun {
  // Within a test Node would run none.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const child = spawn(process.execPath, [resolve('test/run.ts'), ...patterns], {
    env: { ...env, PARLEY_TEST_LINGER_MS: '3000', ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = new Promise<number | null>((done) => child.once('close', done))
  const whole = Promise.all([closed, text(child.stdout), text(child.stderr)])
  const ended = whole.then(([code, stdout, stderr]) => ({ code, output: stdout + stderr }))
  // Who closes its output waits for nothing of it.
  ended.catch(() => {})
  return { process: child, ended }
}
