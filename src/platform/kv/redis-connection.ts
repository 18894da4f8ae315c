import type { RedisOptions } from 'ioredis'

/** How to connect to the server that a URL names. */
export function connectionOf(url: string): { host: string; port: number; options: RedisOptions } {
  const { protocol, hostname, port, pathname } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const options: RedisOptions = { ...unattended, ...loginOf(url), db: Number(pathname.slice(1)) }
  // Nodes of a cluster are known by address; their certificates bear the name in the URL.
  if (protocol === 'rediss:') options.tls = { servername: host }
  return { host, port: Number(port || 6379), options }
}

/** As whom the URL says to sign in. */
export function loginOf(url: string): { username?: string; password?: string } {
  const { username, password } = new URL(url)
  return {
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
  }
}

/** Nothing is queued, sent again or subscribed again behind our back; reconnecting goes on for ever, within a second. */
const unattended: RedisOptions = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  enableReadyCheck: false,
  disableClientInfo: true,
  keepAlive: 10_000,
  retryStrategy: (times) => Math.ceil(Math.random() * Math.min(1000, 50 * 2 ** times)),
}
