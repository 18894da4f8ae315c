/** One of the clouds that Entra ID is run in, each with addresses and issuers of its own. */
export interface EntraCloud {
  /** Where people sign in and keys are found; it issues v2 tokens. */
  authority: string
  /** Issues v1 tokens: tenants' names come after it. */
  v1Issuer: string
  graph: string | undefined
}

/** By Microsoft's documents on national clouds; v1 tokens of US Government come from the issuer of the global service. */
const CLOUDS: readonly (EntraCloud & { also: readonly string[] })[] = [
  {
    authority: 'https://login.microsoftonline.com',
    also: ['https://login.windows.net', 'https://login.microsoft.com', 'https://sts.windows.net'],
    v1Issuer: 'https://sts.windows.net',
    graph: 'https://graph.microsoft.com',
  },
  {
    authority: 'https://login.microsoftonline.us',
    also: ['https://login.usgovcloudapi.net'],
    v1Issuer: 'https://sts.windows.net',
    graph: 'https://graph.microsoft.us',
  },
  {
    authority: 'https://login.partner.microsoftonline.cn',
    also: ['https://login.chinacloudapi.cn'],
    v1Issuer: 'https://sts.chinacloudapi.cn',
    graph: 'https://microsoftgraph.chinacloudapi.cn',
  },
]

/** The cloud of an authority, by its present name; another authority is its own issuer, and has no directory to ask. */
export function cloudOf(authority: string): EntraCloud {
  const base = authority.replace(/\/+$/, '')
  const name = base.toLowerCase()
  const cloud = CLOUDS.find((one) => one.authority === name || one.also.includes(name))
  if (!cloud) return { authority: base, v1Issuer: base, graph: undefined }
  const { also: _also, ...found } = cloud
  return found
}
