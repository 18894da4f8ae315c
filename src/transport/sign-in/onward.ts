/** What leads nowhere but to the page, whose scripts ask for everything else. */
const PAGE = /^\/(?:[?#]|$)/

/**
 * Whether the browser may be sent on by a redirect. At the end of one that began at another site it brings no session along, as
 * `SameSite=Strict` has it: only what is open to everyone can be reached so.
 */
export function mayRedirectTo(path: string): boolean {
  return PAGE.test(path)
}

/** A document that leads on to a path of ours: what begins here brings the session along. */
export function onwardTo(path: string): string {
  const target = path.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Signed in</title><meta http-equiv="refresh" content="0; url=&quot;${target}&quot;"><p>Signed in. <a href="${target}">Go on</a></p></html>`
}
