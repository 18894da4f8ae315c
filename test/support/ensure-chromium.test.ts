import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ensureChromium } from './ensure-chromium.ts'

describe('finding a Chromium for the tests', () => {
  let root: string
  let bin: string
  let said: string[]

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'parley-ensure-chromium-'))
  })
  beforeEach(async () => {
    bin = await mkdtemp(join(root, 'bin-'))
    said = []
  })
  after(() => rm(root, { recursive: true }))

  const command = (name: string, line: string) =>
    writeFile(join(bin, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 }).then(() => join(bin, name))
  const installer = () =>
    command(
      'apt-get',
      `case "$*" in *install*chromium) printf '' > ${bin}/chromium; /bin/chmod +x ${bin}/chromium ;; esac`,
    )
  const find = ({ isRoot = false, path }: { isRoot?: boolean; path?: string } = {}) =>
    ensureChromium({
      env: { PATH: bin, CHROMIUM_PATH: path },
      isRoot,
      policyFile: join(bin, 'policy-rc.d'),
      say: (line) => said.push(line),
    })

  test('takes the path of the environment before anything else', async () => {
    await command('chromium', '')
    const given = await command('my-chrome', '')
    assert.equal(await find({ path: given }), given)
  })

  test('a path of the environment that leads nowhere is not replaced silently', async () => {
    await command('chromium', '')
    await assert.rejects(find({ path: join(bin, 'nothing') }), /set CHROMIUM_PATH/)
  })

  test('takes one on the path, under any of its names', async () => {
    await installer()
    const path = await command('google-chrome', '')
    assert.equal(await find({ isRoot: true }), path)
    assert.deepEqual(said, [])
  })

  test('installs one as root', async () => {
    await installer()
    assert.equal(await find({ isRoot: true }), join(bin, 'chromium'))
    assert.deepEqual(said, ['Installing Chromium for the tests.'])
  })

  test('installs nothing for anybody but root, and says what to do in one line', async () => {
    await installer()
    await assert.rejects(find(), (error: Error) => {
      assert.match(error.message, /^The tests need Chromium: .*\.$/)
      return true
    })
    assert.deepEqual(said, [])
  })
})
