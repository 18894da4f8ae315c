import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ParleyError } from '#errors.ts'
import { FolderBlobStore } from '#platform/blob/folder.ts'
import { capturedLog } from '../../test/support/captured-log.ts'
import { manualClock } from '../../test/support/clock.ts'
import { type Load, loadVersion } from './load.ts'
import { compareVersions } from './version-names.ts'
import { openConfigVersions } from './versions.ts'

const BAD = sound('bad').replace('route: default', 'route: defualt')

/** One line, of a length that follows from its description. */
function sound(description: string): string {
  return `{ description: ${description}, models: { m: { provider: offline, contextWindow: 1000, continuation: restart,
    price: { input: 0, output: 0 } } }, routes: { default: { models: [m] } },
    specialists: { apollo: { title: A, instructions: I, route: default } } }`
}

async function folder(t: TestContext, files: Record<string, string>) {
  const root = await mkdtemp(join(tmpdir(), 'parley-config-'))
  t.after(() => rm(root, { recursive: true }))
  const [dir, rollout, cacheDir] = [join(root, 'versions'), join(root, 'rollout'), join(root, 'cache')]
  for (const each of [dir, rollout]) await mkdir(each)
  const write = (file: string, text: string) => writeFile(join(dir, file), text)
  for (const [file, text] of Object.entries(files)) await write(file, text)
  return { dir, rollout, cacheDir, write, remove: (file: string) => rm(join(dir, file)) }
}

type Folder = Awaited<ReturnType<typeof folder>>

function opening({ dir, rollout, cacheDir }: Folder) {
  const clock = manualClock()
  const { log, lines } = capturedLog()
  const store = (root: string) => new FolderBlobStore({ root, clock, log: capturedLog().log })
  const blobs = { versions: store(dir), rollout: store(rollout) }
  const load: Load = async (name, bytes, format) => loadVersion(name, bytes, format, [])
  return {
    clock,
    lines,
    versions: openConfigVersions({ blobs, place: dir, cacheDir, checkedBy: 'test', load, clock, log }),
  }
}

async function openedIn(t: TestContext, at: Folder) {
  const { clock, lines, versions: opened } = opening(at)
  const versions = await opened
  t.after(() => versions.close())
  const faults = () => versions.faults().map(({ file, faults }) => `${file} ${faults.map((fault) => fault.message)}`)
  const newest = () => versions.newest().name
  /** Lets time pass, until all that it set off is done. */
  const pass = async (ms: number) => {
    clock.advance(ms)
    while (clock.pending === 0) await setImmediate()
  }
  /** Two looks, the second of which reads what the first has found. */
  const looks = async () => {
    await pass(2000)
    await pass(2000)
  }
  return { ...at, clock, lines, versions, faults, newest, pass, looks }
}

async function opened(t: TestContext, files: Record<string, string>) {
  return openedIn(t, await folder(t, files))
}

test('names are in natural order', () => {
  const names = ['v10', 'v9', 'v1', 'V2', 'v09', 'v10.1', 'v10-rc', '2026-01-02', '2026-01-10', 'v2']
  assert.deepEqual(names.toSorted(compareVersions), [
    '2026-01-02',
    '2026-01-10',
    'v1',
    'v2',
    'V2',
    'v09',
    'v9',
    'v10',
    'v10-rc',
    'v10.1',
  ])
})

test('all sound versions are known, and which is the newest', async (t) => {
  const { versions, newest } = await opened(t, { 'v9.yaml': sound('nine'), 'v10.yml': sound('ten'), 'v2.json': '{}' })
  assert.equal(newest(), 'v10')
  assert.equal(versions.get('v9')?.document.description, 'nine')
  assert.equal(versions.get('v9'), versions.get('v9'))
  assert.equal(versions.get('v10'), versions.newest())
  assert.equal(versions.get('v2'), undefined)
  for (const name of ['v3', '../v9', '', '.', 'constructor', 'v9.yaml']) assert.equal(versions.get(name), undefined)
})

test('what is not meant as a version is passed over', async (t) => {
  const at = await folder(t, { 'v1.yaml': sound('one'), 'README.md': '#', '.v2.yaml': 'x', 'v2.yaml~': 'x', v3: 'x' })
  await mkdir(join(at.dir, 'examples'))
  const { versions, lines } = await openedIn(t, at)
  assert.deepEqual(
    versions.list().map(({ name }) => name),
    ['v1'],
  )
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ['Config version found'],
  )
})

test('a new version is known within 5 seconds', async (t) => {
  const { versions, newest, write, lines, looks } = await opened(t, { 'v1.yaml': sound('one') })
  const heard: string[] = []
  const stop = versions.onChange((current) => heard.push(current.name))
  await write('v2.yaml', sound('two'))
  await looks()
  assert.equal(newest(), 'v2')
  assert.deepEqual(heard, ['v2'])
  assert.deepEqual(
    lines.map(({ msg, version }) => `${msg} ${version}`),
    ['Config version found v1', 'Config version found v2'],
  )
  stop()
  await write('v3.yaml', sound('three'))
  await looks()
  assert.equal(newest(), 'v3')
  assert.deepEqual(heard, ['v2'])
})

test('a file that is still being written is left alone', async (t) => {
  const { newest, write, pass } = await opened(t, { 'v1.yaml': sound('one') })
  for (const text of ['two', 'two, more', 'two, more and more']) {
    await write('v2.yaml', sound(`"${text}"`))
    await pass(2000)
    assert.equal(newest(), 'v1')
  }
  await pass(2000)
  assert.equal(newest(), 'v2')
})

test('an older version that comes later is known, and not the newest', async (t) => {
  const { versions, newest, write, looks } = await opened(t, { 'v2.yaml': sound('two') })
  await write('v1.yaml', sound('one'))
  await looks()
  assert.equal(newest(), 'v2')
  assert.equal(versions.get('v1')?.document.description, 'one')
})

test('a bad version changes nothing, is logged once, and may be corrected under its name', async (t) => {
  const { versions, newest, write, pass, lines, faults, looks } = await opened(t, { 'v1.yaml': sound('one') })
  await write('v2.yaml', BAD)
  for (let look = 0; look < 4; look++) await pass(2000)
  assert.equal(newest(), 'v1')
  assert.equal(versions.get('v2'), undefined)
  assert.deepEqual(faults(), ['v2.yaml no route "defualt"; routes are: default'])
  assert.deepEqual(lines.slice(1), [
    {
      level: 50,
      file: 'v2.yaml',
      path: 'specialists.apollo.route',
      line: 3,
      column: 57,
      message: 'no route "defualt"; routes are: default',
      msg: 'Config version refused',
    },
  ])
  await write('v2.yaml', sound('two'))
  await looks()
  assert.equal(newest(), 'v2')
  assert.deepEqual(faults(), [])
})

test('a bad version that goes away is no fault any more', async (t) => {
  const { write, remove, faults, looks } = await opened(t, { 'v1.yaml': sound('one') })
  await write('v2.yaml', BAD)
  await looks()
  assert.equal(faults().length, 1)
  await remove('v2.yaml')
  await looks()
  assert.deepEqual(faults(), [])
})

test('at the start a bad newest version is passed over for the newest sound one', async (t) => {
  const { newest, faults } = await opened(t, { 'v1.yaml': sound('one'), 'v2.yaml': sound('two'), 'v3.yaml': BAD })
  assert.equal(newest(), 'v2')
  assert.deepEqual(faults(), ['v3.yaml no route "defualt"; routes are: default'])
})

test('versions are immutable: a changed file is refused until it is as it was', async (t) => {
  const { versions, newest, write, faults, lines, looks } = await opened(t, { 'v1.yaml': sound('one') })
  await write('v1.yaml', sound('another'))
  await looks()
  await looks()
  assert.equal(newest(), 'v1')
  assert.equal(versions.newest().document.description, 'one')
  assert.deepEqual(faults(), ['v1.yaml was changed: versions are immutable, give the new one a new name'])
  assert.equal(lines.filter(({ msg }) => msg === 'Config version refused').length, 1)
  await write('v1.yaml', sound('one'))
  await looks()
  assert.deepEqual(faults(), [])
})

test('an older version is immutable too', async (t) => {
  const { versions, write, faults, looks } = await opened(t, { 'v1.yaml': sound('one'), 'v2.yaml': sound('two') })
  assert.equal(versions.get('v1')?.document.description, 'one')
  await write('v1.yaml', sound('another'))
  await looks()
  assert.equal(versions.get('v1')?.document.description, 'one')
  assert.deepEqual(faults(), ['v1.yaml was changed: versions are immutable, give the new one a new name'])
})

test('the same bytes under a new time stamp are the same version', async (t) => {
  const { versions, dir, write, faults, looks } = await opened(t, { 'v1.yaml': sound('one') })
  const before = versions.newest()
  await write('.v1', sound('one'))
  await rename(join(dir, '.v1'), join(dir, 'v1.yaml'))
  await looks()
  assert.equal(versions.newest(), before)
  assert.deepEqual(faults(), [])
})

test('a version whose file is gone stays known', async (t) => {
  const { newest, write, remove, faults, looks } = await opened(t, {
    'v1.yaml': sound('one'),
    'v2.yaml': sound('two'),
  })
  await remove('v2.yaml')
  await looks()
  assert.equal(newest(), 'v2')
  assert.deepEqual(faults(), ['v2.yaml is gone; its version goes on being served as it was'])
  await write('v2.yaml', sound('two'))
  await looks()
  assert.deepEqual(faults(), [])
})

test('a folder that is gone changes nothing, and is looked for again', async (t) => {
  const { newest, dir, write, pass, lines, looks } = await opened(t, { 'v1.yaml': sound('one') })
  await rm(dir, { recursive: true })
  await pass(2000)
  await pass(2000)
  assert.equal(newest(), 'v1')
  assert.equal(lines.filter(({ msg }) => msg === 'Looking for config versions failed').length, 1)
  await mkdir(dir)
  await write('v2.yaml', sound('two'))
  await looks()
  assert.equal(newest(), 'v2')
})

test('two files of one name are both refused, until one is gone', async (t) => {
  const { versions, newest, write, remove, faults, looks } = await opened(t, { 'v1.yaml': sound('one') })
  await write('v2.yaml', sound('two'))
  await write('v2.json', '{}')
  await looks()
  assert.equal(newest(), 'v1')
  assert.equal(versions.get('v2'), undefined)
  assert.deepEqual(faults().sort(), [
    'v2.json names the same version as v2.yaml',
    'v2.yaml names the same version as v2.json',
  ])
  await remove('v2.json')
  await looks()
  assert.equal(newest(), 'v2')
  assert.deepEqual(faults(), [])
})

test('a second file of a version that is known is refused', async (t) => {
  const { newest, write, faults, looks } = await opened(t, { 'v1.yaml': sound('one') })
  await write('v1.yml', sound('one'))
  await looks()
  assert.equal(newest(), 'v1')
  assert.deepEqual(faults(), ['v1.yml is refused: versions are immutable, and v1 was read from v1.yaml'])
})

test('names of up to 64 characters are taken, longer and odd ones are refused', async (t) => {
  const { versions, newest, faults } = await opened(t, {
    [`${'v'.repeat(64)}.yaml`]: sound('a'),
    [`${'v'.repeat(65)}.yaml`]: sound('b'),
    'w w.yaml': sound('c'),
  })
  assert.equal(newest(), 'v'.repeat(64))
  assert.equal(versions.get('w w'), undefined)
  const message = 'needs a name of 1 to 64 letters, digits, dots, dashes or underscores'
  assert.deepEqual(faults().sort(), [`${'v'.repeat(65)}.yaml ${message}`, `w w.yaml ${message}`])
})

test('a folder named like a version is passed over, a link to a file is followed, and one to nowhere is not', async (t) => {
  const { newest, dir, write, faults, looks } = await opened(t, { 'v1.yaml': sound('one') })
  await mkdir(join(dir, 'v3.yaml'))
  await write('.two', sound('two'))
  await symlink('.two', join(dir, 'v2.yaml'))
  await symlink('.nowhere', join(dir, 'v4.yaml'))
  await looks()
  assert.equal(newest(), 'v2')
  assert.deepEqual(faults(), [])
})

test('a file too large is refused without being read whole', async (t) => {
  const { newest, write, faults, looks } = await opened(t, { 'v1.yaml': sound('one') })
  await write('v2.yaml', sound('two').padEnd(5_000_000, '#'))
  await looks()
  assert.equal(newest(), 'v1')
  assert.deepEqual(faults(), ['v2.yaml is larger than 1048576 bytes'])
})

test('a file that cannot be read is tried again', {
  skip: !existsSync('/proc/self/mem') && 'needs /proc',
}, async (t) => {
  const { versions, newest, dir, write, remove, faults, lines, looks } = await opened(t, { 'v1.yaml': sound('one') })
  // A regular file to look at, whose first byte cannot be read.
  await symlink('/proc/self/mem', join(dir, 'v2.yaml'))
  await looks()
  await looks()
  assert.deepEqual(faults(), ['v2.yaml cannot be read: A blob cannot be read (EIO).'])
  assert.equal(versions.get('v2'), undefined)
  assert.equal(lines.filter(({ msg }) => msg === 'Config version refused').length, 1)
  await remove('v2.yaml')
  await write('v2.yaml', sound('two'))
  await looks()
  assert.equal(newest(), 'v2')
})

test('a link that leads back to itself is passed over', async (t) => {
  const { versions, newest, dir, faults, looks } = await opened(t, { 'v1.yaml': sound('one') })
  await symlink('v2.yaml', join(dir, 'v2.yaml'))
  await looks()
  assert.equal(newest(), 'v1')
  assert.equal(versions.get('v2'), undefined)
  assert.deepEqual(faults(), [])
})

test('a listener that fails keeps no other from hearing', async (t) => {
  const { versions, newest, write, lines, looks } = await opened(t, { 'v1.yaml': sound('one') })
  const heard: string[] = []
  versions.onChange(() => {
    throw new Error('broken')
  })
  versions.onChange((current) => heard.push(current.name))
  await write('v2.yaml', sound('two'))
  await looks()
  assert.equal(newest(), 'v2')
  assert.deepEqual(heard, ['v2'])
  assert.ok(lines.some(({ msg }) => msg === 'Config listener failed'))
})

test('once closed it looks no more', async (t) => {
  const { versions, clock, newest, write } = await opened(t, { 'v1.yaml': sound('one') })
  await write('v2.yaml', sound('two'))
  clock.advance(2000)
  const refreshed = versions.refresh()
  await versions.close()
  await refreshed
  assert.equal(newest(), 'v1')
  assert.equal(clock.pending, 0)
})

test('without a sound version it does not open, and every fault of every file is named', async (t) => {
  const at = await folder(t, { 'v1.yaml': BAD, 'v2.yaml': 'description: "x"\n' })
  await assert.rejects(opening(at).versions, (error) => {
    assert.ok(error instanceof ParleyError)
    assert.equal(error.code, 'config_invalid')
    assert.deepEqual(error.message.split('\n'), [
      'No config version is valid.',
      `${at.dir}/v2.yaml:1:1 models: is missing`,
      `${at.dir}/v2.yaml:1:1 routes: is missing`,
      `${at.dir}/v2.yaml:1:1 specialists: is missing`,
      `${at.dir}/v1.yaml:3:57 specialists.apollo.route: no route "defualt"; routes are: default`,
    ])
    return true
  })
})

test('without any version, or without a folder, it does not open', async (t) => {
  const at = await folder(t, {})
  for (const dir of [at.dir, join(at.dir, 'missing')]) {
    const { versions } = opening({ ...at, dir })
    await assert.rejects(versions, { code: 'config_unavailable', message: /versions/ })
  }
})

test('what is on disk under a name that has other bytes here is not known, also where its file is gone', async (t) => {
  const elsewhere = await folder(t, { 'v1.yaml': sound('one'), 'v2.yaml': sound('of another place') })
  await (await opening(elsewhere).versions).close()
  const here = await folder(t, { 'v1.yaml': sound('one'), 'v2.yaml': sound('two') })
  await (await opening(here).versions).close()
  await here.remove('v2.yaml')
  const { versions } = await openedIn(t, { ...here, cacheDir: elsewhere.cacheDir })
  assert.equal(versions.get('v2'), undefined)
  assert.deepEqual(
    versions.list().map(({ name }) => name),
    ['v1'],
  )
})
