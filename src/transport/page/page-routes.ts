import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import { ParleyError } from '#errors.ts'

const FILES = {
  '/': { file: 'index.html', type: 'text/html; charset=utf-8' },
  '/page/page.css': { file: 'page.css', type: 'text/css; charset=utf-8' },
  '/page/page.js': { file: 'page.js', type: 'text/javascript; charset=utf-8' },
  '/page/turn-client.js': { file: 'turn-client.js', type: 'text/javascript; charset=utf-8' },
  '/page/answer-view.js': { file: 'answer-view.js', type: 'text/javascript; charset=utf-8' },
  '/page/judgement.js': { file: 'judgement.js', type: 'text/javascript; charset=utf-8' },
  '/page/approval-form.js': { file: 'approval-form.js', type: 'text/javascript; charset=utf-8' },
}

const HEADERS = {
  'cache-control': 'no-cache',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'referrer-policy': 'no-referrer',
}

/** The page at `/`: a chat for whoever opens the address, in plain files, read once. */
export function registerPage(server: FastifyInstance): void {
  for (const [url, { file, type }] of Object.entries(FILES)) {
    const body = readFileSync(new URL(file, import.meta.url))
    // Some kilobytes that are at hand: a page that is there can say that the process has too much to do, and try again.
    server.get(url, { config: { open: true, vital: true }, schema: { hide: true } }, (request, reply) => {
      // The router takes the target `*` for `/`.
      if (request.raw.url === '*') throw new ParleyError('not_found')
      reply.headers({ ...HEADERS, 'content-type': type }).send(body)
    })
  }
}
