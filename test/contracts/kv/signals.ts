import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { key, type Operation } from '#platform/kv/kv.ts'
import { type Check, somewhere, until } from './under-test.ts'

/** What the port promises of signals. */
export function signals(check: Check): void {
  check('a signal reaches every listener of its key, on any replica, until it ends', async ({ kv, other }) => {
    const partition = randomUUID()
    const [here, elsewhere] = [key(partition, 'here'), key(randomUUID(), 'elsewhere')]
    const heard: string[] = []
    const stopFirst = await kv.listen(here, (payload) => heard.push(`first ${payload}`))
    const stopSecond = await kv.listen(here, (payload) => heard.push(`second ${payload}`))
    const stopOther = await other.listen(here, (payload) => heard.push(`other ${payload}`))
    const stopElsewhere = await kv.listen(elsewhere, (payload) => heard.push(`elsewhere ${payload}`))

    await other.signal(here, 'grüße')
    await until(() => heard.length === 3)
    assert.deepEqual(heard.splice(0).sort(), ['first grüße', 'other grüße', 'second grüße'])

    stopFirst()
    stopFirst()
    await kv.signal(here)
    await until(() => heard.length === 2)
    assert.deepEqual(heard.splice(0).sort(), ['other ', 'second '])

    stopSecond()
    await kv.signal(here, 'last')
    await kv.signal(elsewhere, 'end')
    await until(() => heard.length === 2)
    assert.deepEqual(heard.splice(0).sort(), ['elsewhere end', 'other last'])

    const again = await kv.listen(here, (payload) => heard.push(`again ${payload}`))
    await other.signal(here, 'x')
    await until(() => heard.length === 2)
    assert.deepEqual(heard.splice(0).sort(), ['again x', 'other x'])
    for (const stop of [again, stopOther, stopElsewhere]) stop()
  })

  check('a signal of an operation is heard when what it tells of can be read', async ({ kv, other }) => {
    const log = somewhere()
    const { promise, resolve } = Promise.withResolvers<number>()
    const stop = await other.listen(log, () => void other.read(log, -1, 10).then(({ length }) => resolve(length)))
    await kv.run(appendAndSignal, [log], [Buffer.from('entry')])
    assert.equal(await promise, 1)
    stop()
  })

  check('a listener that fails keeps nobody else from hearing', async ({ kv }) => {
    const at = somewhere()
    const { promise, resolve } = Promise.withResolvers<string>()
    const stopFailing = await kv.listen(at, () => {
      throw new Error('a fault of the listener')
    })
    const stop = await kv.listen(at, resolve)
    await kv.signal(at, 'heard')
    assert.equal(await promise, 'heard')
    stopFailing()
    stop()
  })

  check('many listeners on many keys hear their own', async ({ kv, other }) => {
    const keys = Array.from({ length: 60 }, () => somewhere())
    const heard: string[] = []
    const stops = await Promise.all(keys.map((at, n) => kv.listen(at, (payload) => heard.push(`${n}:${payload}`))))
    await Promise.all(keys.map((at, n) => other.signal(at, String(n))))
    await until(() => heard.length >= 60)
    assert.deepEqual(new Set(heard), new Set(keys.map((_, n) => `${n}:${n}`)))
    for (const stop of stops) stop()
  })
}

const appendAndSignal: Operation<void> = {
  name: 'test.append-and-signal',
  lua: `log_append(KEYS[1], log_top(KEYS[1]) + 1, ARGV[1]) signal(KEYS[1], 'appended') return {}`,
  twin: (step, [log], [body]) => {
    if (!log) throw new RangeError('a log is needed')
    step.append(log, step.top(log) + 1, body as Uint8Array)
    step.signal(log, 'appended')
    return []
  },
  decode: () => undefined,
}
