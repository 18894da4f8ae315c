import { startApp, type TestApp, type TestAppOptions } from './app.ts'
import { type OidcIssuer, startOidcIssuer, type Tenant } from './oidc-issuer.ts'

/** The whole app behind Entra ID, and the issuer that stands for it. */
export interface EntraApp extends TestApp {
  issuer: OidcIssuer
  /** The headers of a caller; each call with another `oid` is somebody else. */
  as(caller: Caller): Promise<Record<string, string>>
}

export interface Caller {
  oid: string
  /** The home tenant when absent. */
  tenant?: Tenant
  roles?: readonly string[]
  claims?: Record<string, unknown>
}

export async function startEntraApp(options: TestAppOptions & { issuer?: OidcIssuer } = {}): Promise<EntraApp> {
  const issuer = options.issuer ?? (await startOidcIssuer())
  const app = await startApp({ ...options, variables: { ...entraVariables(issuer), ...options.variables } })
  const stop = async () => {
    await app.stop()
    if (!options.issuer) await issuer[Symbol.asyncDispose]()
  }
  return {
    ...app,
    issuer,
    async as({ oid, tenant = issuer.home, roles = ['Chat.User'], claims }) {
      return { authorization: `Bearer ${await tenant.sign({ oid, sub: `pairwise-${oid}`, roles, ...claims })}` }
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** What the environment says of an issuer. */
function entraVariables(issuer: OidcIssuer): Record<string, string> {
  return {
    PARLEY_ENTRA_AUTHORITY: issuer.authority,
    ENTRA_TENANT_ID: issuer.home.id,
    ENTRA_CLIENT_ID: issuer.clientId,
    ENTRA_CLIENT_SECRET: issuer.clientSecret,
    PARLEY_ENTRA_GUESTS: issuer.guest.id,
  }
}
