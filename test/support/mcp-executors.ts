import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ActionSpec, McpServerSpec } from '#config/action-spec.ts'
import type { ConfigDocument } from '#config/document.ts'
import { systemClock } from '#platform/clock.ts'
import { CorrectableError, type ExecutorContext, PassingError } from '../../src/actions/executors/executor.ts'
import { createMcpExecutors, type McpExecutorsOptions } from '../../src/actions/executors/mcp/mcp.ts'
import { openSession } from '../../src/actions/executors/mcp/session.ts'
import { capturedLog } from './captured-log.ts'
import { executorContext } from './executor-context.ts'

/** The tools of one server as executors, until the test ends; what is logged meanwhile in `lines`. */
export function executorsFor(context: TestContext, spec: McpServerSpec, change: Partial<McpExecutorsOptions> = {}) {
  const { log, lines } = capturedLog()
  const commands = spec.command ? [spec.command] : []
  const kind = createMcpExecutors({
    clock: systemClock,
    log,
    fetch,
    permits: ({ hostname }) => hostname === '127.0.0.1',
    commands,
    ...change,
  })
  context.after(() => kind.close?.())
  const document = documentWith(spec)
  const call = async (
    tool: string,
    args: Record<string, unknown>,
    change: Partial<ExecutorContext> & { pin?: string } = {},
  ) => {
    const { pin, ...rest } = change
    const executor = kind.executorOf(document, 'action', actionWith(tool, pin))
    assert.ok(executor)
    return executor(args, executorContext(rest))
  }
  return { call, lines, kind, document }
}

function documentWith(spec: McpServerSpec): ConfigDocument {
  return { description: 'test', models: {}, routes: {}, specialists: {}, mcpServers: { demo: spec } }
}

function actionWith(tool: string, pin?: string): ActionSpec {
  const mcp = { server: 'demo', tool, ...(pin === undefined ? {} : { pin }) }
  return { description: 'test', parameters: { type: 'object' }, mcp }
}

/** The hash of a tool as its server lists it now. */
export async function pinOf({ command = [], url }: McpServerSpec, tool = 'service_status'): Promise<string> {
  const target = url === undefined ? { command } : { url: new URL(url) }
  const session = await openSession({
    target,
    fetch,
    token: () => undefined,
    now: Date.now,
    onEnd() {},
    onToolsChanged() {},
  })
  try {
    return (await session.tools()).get(tool) ?? ''
  } finally {
    await session.close()
  }
}

/** Another process, or the other end of a socket, takes a moment. */
export async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = Date.now() + 60_000; !(await holds()); await sleep(5)) {
    if (Date.now() > end) throw new Error('It did not come to pass.')
  }
}

/** For `assert.rejects`. */
export const correctable = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof CorrectableError, String(error))
  assert.match(error.message, message)
  return true
}

/** For `assert.rejects`. */
export const passing = (reason: string, untouched: boolean) => (error: unknown) => {
  assert.ok(error instanceof PassingError, String(error))
  assert.deepEqual({ reason: error.reason, untouched: error.untouched }, { reason, untouched })
  return true
}
