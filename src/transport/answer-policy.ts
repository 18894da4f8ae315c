/**
 * What every answer says to browsers, unless a route says more: it is kept by nobody, is what its type says, is no page that could
 * run or be framed, and is not to be embedded by pages of others. Over https, that the site is to be reached by nothing else.
 */
export function answerPolicy(publicUrl: string | undefined): Readonly<Record<string, string>> {
  return {
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
    ...(publicUrl?.startsWith('https:') && { 'strict-transport-security': 'max-age=31536000' }),
  }
}
