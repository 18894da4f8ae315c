import { SignInBrowser } from '../../sign-in-browser.ts'
import type { Ground } from '../ground.ts'

export interface Person {
  oid: string
  tenant: string
  roles: readonly string[]
}

/** Whoever signs in next, or has the code of a sign-in redeemed, is this person. */
export function letIn({ app }: Pick<Ground, 'app'>, { oid, roles }: Person): void {
  app.issuer.user = { oid, name: `Name of ${oid}`, roles }
}

/** The cookie of a new session of the person. */
export async function signedIn(ground: Pick<Ground, 'app'>, person: Person): Promise<string> {
  const { url } = ground.app
  letIn(ground, person)
  const browser = new SignInBrowser()
  const { response } = await browser.visit(`${url}/auth/login?tenant=${person.tenant}`)
  await response?.body?.cancel()
  const cookie = /parley-session=([^;]+)/.exec(browser.cookies(url))?.[1]
  if (cookie === undefined) throw new Error(`Nobody is signed in: ${response?.status}`)
  return cookie
}
