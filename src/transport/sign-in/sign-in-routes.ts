import { Type } from 'typebox'
import { ParleyError } from '#errors.ts'
import { cookieNames, cookieOf, type SignIn, signInLimits } from '#identity/sign-in.ts'
import type { Routes } from '../routing.ts'
import { errors } from '../schema-replies.ts'
import { setCookie } from './cookies.ts'
import { mayRedirectTo, onwardTo } from './onward.ts'

const tags = ['sign-in']

const LoginQuery = Type.Object({
  return: Type.Optional(Type.String({ maxLength: 1024, description: 'The path to come back to. Default /.' })),
  tenant: Type.Optional(Type.String({ maxLength: 128, description: 'Of a guest; the home tenant when left out.' })),
})

const CallbackQuery = Type.Object({
  code: Type.Optional(Type.String({ maxLength: 8192 })),
  state: Type.Optional(Type.String({ maxLength: 128 })),
  error: Type.Optional(Type.String({ maxLength: 256 })),
})

/** Sign-in of browsers. The session is a cookie that no script can read. */
export function signInRoutes(routes: Routes, signIn: SignIn): void {
  const { origin } = signIn
  const names = cookieNames(origin)

  routes.get('/auth/login', {
    config: { open: true },
    schema: {
      operationId: 'signIn',
      summary: 'Sends the browser to sign in',
      tags,
      querystring: LoginQuery,
      response: { 302: Type.Null({ description: 'To the sign-in page' }), ...errors(400, 503) },
    },
    handler: async ({ query }, reply) => {
      const { location, secret } = await signIn.begin({ tenant: query.tenant, returnTo: query.return })
      // Lax, since the way back begins at another site.
      setCookie(reply, origin, names.pending, secret, signInLimits.pendingMs, 'Lax')
      return reply.redirect(location, 302)
    },
  })

  routes.get('/auth/callback', {
    config: { open: true },
    schema: {
      operationId: 'finishSignIn',
      summary: 'Where the browser comes back to from the sign-in page',
      tags,
      querystring: CallbackQuery,
      response: {
        200: {
          description: 'With a session; a document that leads to where it wanted to go.',
          content: { 'text/html': { schema: { type: 'string' } } },
        },
        302: Type.Null({ description: 'With a session, to the page' }),
        ...errors(400, 401, 503),
      },
    },
    handler: async ({ query: { code, state, error }, headers }, reply) => {
      const secret = cookieOf(headers.cookie, names.pending)
      setCookie(reply, origin, names.pending, '', 0, 'Lax')
      if (error !== undefined || code === undefined || state === undefined || secret === undefined) {
        throw new ParleyError('unauthenticated', { message: 'The sign-in did not complete; start it again.' })
      }
      const { session, returnTo } = await signIn.finish({ code, state, secret })
      setCookie(reply, origin, names.session, session, signInLimits.absoluteMs, 'Strict')
      if (mayRedirectTo(returnTo)) return reply.redirect(returnTo, 302)
      return reply.header('content-type', 'text/html; charset=utf-8').serializer(String).send(onwardTo(returnTo))
    },
  })

  routes.post('/auth/logout', {
    // Asks for the cookie alone: signing out works for a session that is over, and with the identity provider away.
    config: { open: true, vital: true },
    schema: {
      operationId: 'signOut',
      summary: 'Ends the session of this browser',
      tags,
      response: { 204: Type.Null({ description: 'Signed out' }), ...errors(401, 403) },
    },
    handler: async ({ headers }, reply) => {
      const session = cookieOf(headers.cookie, names.session)
      if (session === undefined) throw new ParleyError('unauthenticated')
      const isOwn =
        headers.origin === origin || (headers.origin === undefined && headers['sec-fetch-site'] === 'same-origin')
      if (!isOwn) throw new ParleyError('cross_site')
      await signIn.end(session)
      setCookie(reply, origin, names.session, '', 0, 'Strict')
      return reply.code(204).send(null)
    },
  })
}
