import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { oldSpaceLimit } from './process-load.ts'

const MEBIBYTE = 1024 * 1024

// The limit for all is what V8 says with these flags.
const heaps: [flags: string, limit: number, old: number][] = [
  ['', 4192, 4096],
  ['--max-semi-space-size=64', 4288, 4096],
  ['--max-old-space-size=128', 224, 128],
  ['--max_old_space_size=32', 128, 32],
  ['--max-old-space-size=512 --max-semi-space-size=16', 560, 512],
  ['--max-old-space-size=64 --max-old-space-size 128', 224, 128],
  ['--max-old-space-size-percentage=10', 2506, 2410],
  ['--max-heap-size=64', 64, 58],
  ['--max-heap-size=128', 128, 116],
  ['--max-heap-size=130', 130, 106],
  ['--max-heap-size=512', 512, 464],
  ['--max-heap-size=512 --max-semi-space-size=12', 512, 464],
]

for (const [flags, limit, old] of heaps) {
  test(`of ${limit} MiB, ${old} are for the old with ${flags || 'no flags'}`, () => {
    assert.equal(oldSpaceLimit(limit * MEBIBYTE, flags) / MEBIBYTE, old)
  })
}

test('a process knows its own, told by its command line or by NODE_OPTIONS', async () => {
  const url = new URL('./process-load.ts', import.meta.url).href
  const script = `import { processLoadReader } from '${url}'; console.log(processLoadReader({ nodeOptions: process.env.NODE_OPTIONS })().heapLimit)`
  const limitOf = async (flags: readonly string[], NODE_OPTIONS: string) => {
    const env = { NODE_OPTIONS }
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, '--input-type=module', '-e', script], {
      env,
    })
    return Number(stdout) / MEBIBYTE
  }
  assert.equal(await limitOf(['--max-heap-size=128'], ''), 116)
  assert.equal(await limitOf([], '--max-old-space-size=128'), 128)
  assert.equal(await limitOf(['--max-old-space-size=160'], '--max-old-space-size=128'), 160)
})
