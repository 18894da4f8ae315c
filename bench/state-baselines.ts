import { DatabaseSync } from 'node:sqlite'
import { Command, Redis } from 'ioredis'
import { appendEvents } from '#chat/store/append.ts'
import { openTurn } from '#chat/store/open.ts'
import { scriptOf } from '#platform/kv/redis-script.ts'

/** Appends to the turn of this number, whatever comes next there. */
export type Append = (n: number) => Promise<void>

const TURNS = 200

/** The same script, sent as ioredis sends it; all writes of a tick are joined by corking the socket. */
export async function openCorked(url: string, body: Buffer): Promise<{ append: Append; close(): Promise<void> }> {
  const { redis, argsOf } = await prepared(url, body, false)
  let corked = false
  return {
    append: (n) => {
      if (!corked) {
        corked = true
        redis.stream.cork()
        setImmediate(() => {
          corked = false
          redis.stream.uncork()
        })
      }
      const command = new Command('evalsha', argsOf(n), { replyEncoding: null })
      redis.sendCommand(command)
      return command.promise
    },
    close: async () => redis.disconnect(),
  }
}

export async function openPipelining(url: string, body: Buffer): Promise<{ append: Append; close(): Promise<void> }> {
  const { redis, argsOf } = await prepared(url, body, true)
  return {
    append: async (n) => {
      const [sha, keys, ...rest] = argsOf(n)
      await redis.evalsha(String(sha), Number(keys), ...rest)
    },
    close: async () => redis.disconnect(),
  }
}

async function prepared(url: string, body: Buffer, enableAutoPipelining: boolean) {
  const redis = new Redis(url, { enableAutoPipelining })
  await redis.flushall()
  const { sha, text } = scriptOf(appendEvents)
  await redis.script('LOAD', text)
  for (let n = 0; n < TURNS; n++) {
    const args = ['turn', 'replica', 60_000, body, 3_600_000, '', 1, 1, body, 3_600_000]
    await redis.eval(scriptOf(openTurn).text, 3, `{${n}}turn`, `{${n}}idempotency`, `{${n}}log`, ...args)
  }
  const next = positions(TURNS)
  const argsOf = (n: number) => {
    const at = n % TURNS
    const position = next(at)
    return [sha, 2, `{${at}}turn`, `{${at}}log`, 1, position, position, body, 60_000]
  }
  return { redis, argsOf }
}

/** What the append does, done to tables at once: four fields read, an entry added, two fields written. */
export async function openTables(file: string, turns: number, body: Buffer, input: Buffer) {
  const database = new DatabaseSync(file)
  database.exec(`
    PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
    CREATE TABLE fields (id INTEGER, name TEXT, value BLOB, PRIMARY KEY (id, name)) WITHOUT ROWID;
    CREATE TABLE entries (id INTEGER, position INTEGER, body BLOB, PRIMARY KEY (id, position)) WITHOUT ROWID`)
  const get = database.prepare('SELECT value FROM fields WHERE id = ? AND name = ?')
  const set = database.prepare('INSERT INTO fields VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value')
  const add = database.prepare('INSERT INTO entries VALUES (?, ?, ?)')
  const [begin, commit] = [database.prepare('BEGIN'), database.prepare('COMMIT')]
  const fields = { fence: Buffer.from('1'), state: Buffer.from('live'), top: Buffer.from('-1'), input }
  for (let id = 0; id < turns; id++) for (const [name, value] of Object.entries(fields)) set.run(id, name, value)
  const next = positions(turns)
  let queue: { id: number; position: number; resolve: () => void }[] = []
  const flush = () => {
    const calls = queue
    queue = []
    begin.run()
    for (const { id, position } of calls) {
      for (const name of ['fence', 'state', 'top', 'cancel']) get.get(id, name)
      add.run(id, position, body)
      set.run(id, 'top', Buffer.from(String(position)))
      set.run(id, 'lease', Buffer.from(String(Date.now())))
    }
    commit.run()
    for (const { resolve } of calls) resolve()
  }
  const append: Append = (n) =>
    new Promise((resolve) => {
      if (queue.push({ id: n % turns, position: next(n % turns), resolve }) === 1) setImmediate(flush)
    })
  return { append, close: async () => database.close() }
}

/** The next position of each turn; opening it has appended the first. */
function positions(turns: number): (turn: number) => number {
  const tops = new Uint32Array(turns)
  return (turn) => {
    const position = (tops[turn] ?? 0) + 1
    tops[turn] = position
    return position
  }
}
