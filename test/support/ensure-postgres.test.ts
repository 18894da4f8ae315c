import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ensurePostgres } from './ensure-postgres.ts'

describe('finding a PostgreSQL for the tests', () => {
  let root: string
  let bin: string
  let versions: string
  let policyFile: string
  let said: string[]

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'parley-ensure-postgres-'))
  })
  beforeEach(async () => {
    bin = await mkdtemp(join(root, 'bin-'))
    versions = await mkdtemp(join(root, 'versions-'))
    policyFile = join(bin, 'policy-rc.d')
    said = []
  })
  after(() => rm(root, { recursive: true }))

  const command = async (folder: string, name: string, ...lines: string[]) => {
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, name), ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 })
  }
  const programs = async (folder: string, version: string) => {
    await command(folder, 'postgres', `echo 'postgres (PostgreSQL) ${version}'`)
    await command(folder, 'initdb')
  }
  const debian = (major: string) => join(versions, major, 'bin')
  /** Debian's installer: brings the programs, and asks the policy whether the service may start. */
  const installer = () =>
    command(
      bin,
      'apt-get',
      'case "$*" in *update) exit 0 ;; esac',
      `/bin/sh ${policyFile}; echo $? > ${bin}/said`,
      `/bin/mkdir -p ${debian('15')}`,
      `printf '#!/bin/sh\\necho "postgres (PostgreSQL) 15.18"\\n' > ${debian('15')}/postgres`,
      `/bin/cp ${debian('15')}/postgres ${debian('15')}/initdb`,
      `/bin/chmod +x ${debian('15')}/postgres ${debian('15')}/initdb`,
    )
  const find = ({ isRoot = false, url }: { isRoot?: boolean; url?: string } = {}) =>
    ensurePostgres(
      {
        env: { PATH: `/nowhere:${bin}`, PARLEY_TEST_DATABASE_URL: url },
        isRoot,
        policyFile,
        say: (line) => said.push(line),
      },
      versions,
    )

  test('takes the URL of the environment before anything else', async () => {
    await programs(bin, '17.1')
    const url = 'postgres://admin@10.0.0.1/postgres'
    assert.deepEqual(await find({ url }), { kind: 'url', url })
  })

  test('takes the programs on the path', async () => {
    await programs(bin, '14.0')
    await programs(debian('17'), '17.1')
    assert.deepEqual(await find(), { kind: 'binaries', folder: bin })
  })

  test('takes the newest that Debian has', async () => {
    await programs(debian('9.6'), '9.6.1')
    await programs(debian('15'), '15.18')
    await programs(debian('16'), '16.2')
    assert.deepEqual(await find(), { kind: 'binaries', folder: debian('16') })
  })

  test('passes over one that is too old, and one without its tools', async () => {
    await programs(bin, '13.9')
    await command(debian('17'), 'postgres', `echo 'postgres (PostgreSQL) 17.1'`)
    await programs(debian('15'), '15.18')
    assert.deepEqual(await find(), { kind: 'binaries', folder: debian('15') })
  })

  test('installs one as root, without its service, and leaves no policy behind', async () => {
    await installer()
    assert.deepEqual(await find({ isRoot: true }), { kind: 'binaries', folder: debian('15') })
    assert.equal(await readFile(join(bin, 'said'), 'utf8'), '101\n')
    assert.deepEqual(said, ['Installing postgresql for the tests; its service stays off.'])
    assert.deepEqual((await readdir(bin)).sort(), ['apt-get', 'said'])
  })

  test('says in one line what to do where none can be had', async () => {
    await installer()
    await assert.rejects(find(), (error: Error) => {
      assert.match(
        error.message,
        /^The tests need PostgreSQL 14 or newer: install postgresql, or set PARLEY_TEST_.*\.$/,
      )
      return true
    })
    assert.deepEqual(await readdir(bin), ['apt-get'])
  })
})
