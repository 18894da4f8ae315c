import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { isAlive, RunProcesses } from './run-processes.ts'

const skip = existsSync('/proc/self/stat') ? false : 'what is running is told by /proc alone'
/** Ends by SIGKILL only, and says when it is so. */
const deaf = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('deaf')"

async function startDeaf() {
  const child = spawn(process.execPath, ['-e', deaf], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  assert.ok(child.pid)
  return { pid: child.pid, exited: once(child, 'exit') }
}

test('what a run started is killed when it does not go by itself, and told', { skip }, async () => {
  const processes = new RunProcesses(100)
  const { pid, exited } = await startDeaf()
  assert.deepEqual(
    (await processes.end()).map(({ command }) => command),
    [[process.execPath, '-e', deaf].join(' ')],
  )
  assert.deepEqual(await exited, [null, 'SIGKILL'])
  assert.equal(isAlive(pid), false)
})
