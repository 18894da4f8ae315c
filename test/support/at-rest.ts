import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import type { RedisServer } from './redis.ts'

/** What lies where, as an intruder would find it. */

export async function filesIn(dir: string): Promise<Buffer> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name))
  return Buffer.concat(await Promise.all(files.map((file) => readFile(file))))
}

/** Everything that a server holds, as it holds it; values are not compressed by this way of asking. */
export async function everythingIn({ url }: Pick<RedisServer, 'url'>): Promise<Buffer> {
  const redis = new Redis(url)
  const found: Buffer[] = []
  const add = (reply: unknown): void => {
    if (Array.isArray(reply)) for (const part of reply) add(part)
    else found.push(Buffer.isBuffer(reply) ? reply : Buffer.from(String(reply)))
  }
  try {
    for (const key of await redis.keys('*')) {
      add(key)
      const type = await redis.type(key)
      if (type === 'hash') add(await redis.callBuffer('HGETALL', key))
      else if (type === 'stream') add(await redis.callBuffer('XRANGE', key, '-', '+'))
      else if (type === 'zset') add(await redis.callBuffer('ZRANGE', key, 0, -1))
      else if (type === 'string') add(await redis.callBuffer('GET', key))
      else if (type === 'set') add(await redis.callBuffer('SMEMBERS', key))
      // One of type none has run out since it was listed.
      else if (type !== 'none') assert.fail(`a key of type ${type} is not looked into`)
    }
  } finally {
    redis.disconnect()
  }
  return Buffer.concat(found)
}

/** Every row of every table, by the administrator of the server; bytes as they are. */
export async function everyRowOf(server: { url: string }, databaseUrl: string): Promise<Buffer> {
  const url = Object.assign(new URL(server.url), { pathname: new URL(databaseUrl).pathname })
  const client = new Client({ connectionString: url.href })
  await client.connect()
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      `SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'`,
    )
    const found: Buffer[] = []
    for (const { name } of tables) {
      const { rows } = await client.query<Record<string, unknown>>(`SELECT * FROM ${name}`)
      for (const value of rows.flatMap((row) => Object.values(row))) {
        found.push(Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value) ?? ''))
      }
    }
    return Buffer.concat(found)
  } finally {
    await client.end()
  }
}
