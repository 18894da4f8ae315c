/** Follows redirects as a browser does, with a cookie jar for each origin. */
export class SignInBrowser {
  readonly #jars = new Map<string, Map<string, string>>()

  /** The answer that is no redirect, or the first address that `until` wants, unvisited. */
  async visit(address: string, until: (url: URL) => boolean = () => false): Promise<{ url: URL; response?: Response }> {
    let url = new URL(address)
    for (let hop = 0; hop < 20; hop++) {
      if (until(url)) return { url }
      const response = await this.fetch(url)
      const location = response.headers.get('location')
      if (location === null || response.status < 300 || response.status >= 400) return { url, response }
      await response.body?.cancel()
      url = new URL(location, url)
    }
    throw new Error('Too many redirects.')
  }

  async fetch(url: URL | string, init: RequestInit = {}): Promise<Response> {
    const { origin } = new URL(url)
    const headers = new Headers(init.headers)
    const cookies = this.cookies(origin)
    if (cookies !== '') headers.set('cookie', cookies)
    const response = await fetch(url, { redirect: 'manual', ...init, headers })
    for (const cookie of response.headers.getSetCookie()) this.#keep(origin, cookie)
    return response
  }

  cookies(origin: string): string {
    return Array.from(this.#jars.get(origin) ?? [], ([name, value]) => `${name}=${value}`).join('; ')
  }

  #keep(origin: string, cookie: string): void {
    const [pair = '', ...attributes] = cookie.split(';')
    const at = pair.indexOf('=')
    const name = pair.slice(0, at).trim()
    const jar = this.#jars.get(origin) ?? new Map<string, string>()
    this.#jars.set(origin, jar)
    const gone = attributes.some((each) => /^\s*(max-age=0|expires=Thu, 01 Jan 1970)/i.test(each))
    if (gone) jar.delete(name)
    else jar.set(name, pair.slice(at + 1))
  }
}
