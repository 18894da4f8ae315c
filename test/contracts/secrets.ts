import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SecretStore } from '#platform/secrets/secrets.ts'

export interface SecretsUnderTest extends AsyncDisposable {
  store: SecretStore
  /** Puts a value where the store finds it; undefined takes it away. */
  set(variable: string, value: string | undefined): void
}

/** What every place for secrets has to do alike. */
export function secretsContract(engine: SecretStore['engine'], open: () => Promise<SecretsUnderTest>): void {
  const check = (behaviour: string, body: (under: SecretsUnderTest) => Promise<void>) =>
    test(`secrets in ${engine}: ${behaviour}`, async () => {
      await using under = await open()
      await body(under)
    })
  const { signal } = new AbortController()

  check('what is there is read, what is not is undefined', async ({ store, set }) => {
    assert.equal(store.engine, engine)
    set('OPENAI_API_KEY', 'sk-1')
    set('PARLEY_MASTER_KEYS', 'a:AAAA=,b:BBBB=')
    assert.equal(await store.read('OPENAI_API_KEY', signal), 'sk-1')
    assert.equal(await store.read('PARLEY_MASTER_KEYS', signal), 'a:AAAA=,b:BBBB=')
    assert.equal(await store.read('REDIS_URL', signal), undefined)
  })

  check('the present value is read, and none once it is gone', async ({ store, set }) => {
    set('OPENAI_API_KEY', 'sk-1')
    assert.equal(await store.read('OPENAI_API_KEY', signal), 'sk-1')
    set('OPENAI_API_KEY', 'sk-2')
    assert.equal(await store.read('OPENAI_API_KEY', signal), 'sk-2')
    set('OPENAI_API_KEY', undefined)
    assert.equal(await store.read('OPENAI_API_KEY', signal), undefined)
  })

  check('space around a value is none of it, and nothing but space is no value', async ({ store, set }) => {
    set('OPENAI_API_KEY', ' sk-1\n')
    set('REDIS_URL', ' \n')
    assert.equal(await store.read('OPENAI_API_KEY', signal), 'sk-1')
    assert.equal(await store.read('REDIS_URL', signal), undefined)
  })

  check('a value is given as it is, whatever is in it', async ({ store, set }) => {
    const value = `ü"\\{}%20&?#${'x'.repeat(20_000)}`
    set('ENTRA_CLIENT_SECRET', value)
    assert.equal(await store.read('ENTRA_CLIENT_SECRET', signal), value)
  })

  check('many are read at once', async ({ store, set }) => {
    const names = Array.from({ length: 20 }, (_, index) => `SECRET_${index}`)
    for (const name of names) set(name, `value of ${name}`)
    const read = await Promise.all(names.map((name) => store.read(name, signal)))
    assert.deepEqual(
      read,
      names.map((name) => `value of ${name}`),
    )
  })

  check('whoever does not wait any more gets their reason', async ({ store, set }) => {
    set('OPENAI_API_KEY', 'sk-1')
    const reason = new Error('not any more')
    await assert.rejects(store.read('OPENAI_API_KEY', AbortSignal.abort(reason)), reason)
  })
}
