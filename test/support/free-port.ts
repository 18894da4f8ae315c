import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Below the ports that systems hand out by themselves: one of those can go to another test that asks for any, or to a
 * connection that is being made, between now and when it is listened on, and every time that a server is started anew.
 */
const lowest = 11_000
const beyond = 16_000

/** A port that nobody listens on, and that is given to nobody else as long as this process lives. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(lowest, beyond)
    if ((await isClaimed(port)) && (await isFree(port))) return port
  }
}

/** By its namesake of UDP, which the system takes back from a process that ends in whatever way. */
async function isClaimed(port: number): Promise<boolean> {
  const claim = createSocket('udp4').unref()
  claim.bind({ port, address: '127.0.0.1', exclusive: true })
  return once(claim, 'listening').then(
    () => true,
    () => false,
  )
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
