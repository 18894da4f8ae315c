import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ensureRedis } from './ensure-redis.ts'

describe('finding a Redis for the tests', () => {
  let root: string
  let bin: string
  let policyFile: string
  let said: string[]

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'parley-ensure-redis-'))
  })
  beforeEach(async () => {
    bin = await mkdtemp(join(root, 'bin-'))
    policyFile = join(bin, 'policy-rc.d')
    said = []
  })
  after(() => rm(root, { recursive: true }))

  const command = (name: string, ...lines: string[]) =>
    writeFile(join(bin, name), ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 })
  const server = (version: string) => command('redis-server', `echo Redis server v=${version} bits=64`)
  /** Debian's installer: brings a server, and asks the policy whether its service may start. */
  const installer = () =>
    command(
      'apt-get',
      'case "$*" in *update) exit 0 ;; esac',
      `/bin/sh ${policyFile}; echo $? > ${bin}/said`,
      `printf '#!/bin/sh\\necho v=7.0.15\\n' > ${bin}/redis-server`,
      `/bin/chmod +x ${bin}/redis-server`,
    )
  const find = ({ isRoot = false, url }: { isRoot?: boolean; url?: string } = {}) =>
    ensureRedis({
      env: { PATH: `/nowhere:${bin}`, REDIS_URL: url },
      isRoot,
      policyFile,
      say: (line) => said.push(line),
    })
  const binary = () => ({ kind: 'binary', path: join(bin, 'redis-server') })

  test('takes the URL of the environment before anything else', async () => {
    await server('7.0.15')
    assert.deepEqual(await find({ url: 'redis://10.0.0.1:6379' }), { kind: 'url', url: 'redis://10.0.0.1:6379' })
  })

  test('takes the server on the path', async () => {
    await server('8.0.2')
    await installer()
    assert.deepEqual(await find({ isRoot: true }), binary())
    assert.deepEqual((await readdir(bin)).sort(), ['apt-get', 'redis-server'])
  })

  test('installs one as root, without its service, and leaves no policy behind', async () => {
    await installer()
    assert.deepEqual(await find({ isRoot: true }), binary())
    assert.equal(await readFile(join(bin, 'said'), 'utf8'), '101\n')
    assert.deepEqual(said, ['Installing redis-server for the tests; its service stays off.'])
    assert.deepEqual((await readdir(bin)).sort(), ['apt-get', 'redis-server', 'said'])
  })

  test('keeps the policy of the machine', async () => {
    await installer()
    await writeFile(policyFile, 'exit 104\n')
    assert.deepEqual(await find({ isRoot: true }), binary())
    assert.equal(await readFile(join(bin, 'said'), 'utf8'), '104\n')
    assert.equal(await readFile(policyFile, 'utf8'), 'exit 104\n')
  })

  test('installs nothing for anybody but root', async () => {
    await installer()
    await assert.rejects(find(), /need Redis 7 or newer/)
    assert.deepEqual(await readdir(bin), ['apt-get'])
  })

  test('falls back to Docker when the package cannot be had, and removes the policy', async () => {
    await command('apt-get', 'exit 100')
    await command('docker', 'exit 0')
    assert.deepEqual(await find({ isRoot: true }), { kind: 'docker', image: 'redis:7' })
    assert.deepEqual((await readdir(bin)).sort(), ['apt-get', 'docker'])
  })

  test('passes over a server that is too old and a Docker that is not running, and says what to do in one line', async () => {
    await server('6.2.14')
    await command('docker', 'exit 1')
    await assert.rejects(find(), (error: Error) => {
      assert.match(error.message, /^The tests need Redis 7 or newer: install redis-server, start Docker, or set .*\.$/)
      return true
    })
  })
})
