/** Where tokens for Azure services come from. */
export interface TokenSource {
  /** A token for `scope`; `expiresAt` is in ms since the epoch. */
  token(scope: string): Promise<{ token: string; expiresAt: number }>
}

/** Tokens of whatever identity the process has: managed, workload, environment or the developer's. */
export function createTokenSource(): TokenSource {
  let credential: Promise<import('@azure/identity').DefaultAzureCredential> | undefined
  const load = async () => {
    // Loading the package takes a few hundred ms, which a process without Azure should not pay.
    const { DefaultAzureCredential } = await import('@azure/identity')
    return new DefaultAzureCredential()
  }
  return {
    token: async (scope) => {
      credential ??= load()
      const { token, expiresOnTimestamp } = await (await credential).getToken(scope)
      return { token, expiresAt: expiresOnTimestamp }
    },
  }
}
