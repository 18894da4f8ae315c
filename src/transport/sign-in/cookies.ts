import type { FastifyReply } from 'fastify'

/** One that no script can read. Over https, it goes over nothing else. */
export function setCookie(
  reply: FastifyReply,
  origin: string,
  name: string,
  value: string,
  maxAgeMs: number,
  site: 'Strict' | 'Lax',
): void {
  const secure = origin.startsWith('https:') ? '; Secure' : ''
  const maxAge = Math.floor(maxAgeMs / 1000)
  reply.header('set-cookie', `${name}=${value}; Path=/; HttpOnly; SameSite=${site}; Max-Age=${maxAge}${secure}`)
}
