import type { Env } from './env.ts'
import type { Use } from './uses.ts'

/** Where `npx parley` looks when it is not told. */
const USUAL = 'http://127.0.0.1:8080'

/** What a process that has started tells whoever started it: what serves each need, and where to go. */
export function greetingOf({ role, identity }: Pick<Env, 'role' | 'identity'>, uses: readonly Use[], address: string) {
  const needs = uses.map(({ need, engine }) => lineOf(need, engine))
  return `Parley is ready.\n${needs.join('')}\n${placesOf(role, identity.engine, address)}\n`
}

function placesOf(role: Env['role'], engine: Env['identity']['engine'], address: string): string {
  if (role === 'worker') return lineOf('health', `${address}/health/ready`)
  const places = [lineOf('chat', `${address}/`), lineOf('OpenAI', `${address}/v1`), lineOf('API', `${address}/docs`)]
  const where = address === USUAL ? '' : `PARLEY_URL=${address} `
  if (engine === 'local') places.splice(1, 0, lineOf('', `${where}npx parley chat`))
  return places.join('')
}

function lineOf(what: string, which: string): string {
  return `  ${what.padEnd(9)} ${which}\n`
}
