import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import tls from 'node:tls'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { localhostCertificate, localhostKey } from './localhost-certificate.ts'

export interface ReceivedMail {
  /** As whom the sender signed in. */
  user: string | undefined
  encrypted: boolean
  from: string
  to: readonly string[]
  source: string
}

export interface MailServer extends AsyncDisposable {
  readonly port: number
  readonly mails: readonly ReceivedMail[]
}

/** A real mail server on 127.0.0.1, for the name localhost; whoever signs in is `parley` with the password `p@ss word`. */
export async function startMailServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), localhostCertificate])
  const mails: ReceivedMail[] = []
  const server = new SMTPServer({
    key: localhostKey,
    cert: localhostCertificate,
    authOptional: true,
    closeTimeout: 100,
    onAuth: ({ username, password }, _session, done) =>
      username === 'parley' && password === 'p@ss word' ? done(null, { user: username }) : done(new Error('No.')),
    onData: (stream, { user, secure, envelope: { mailFrom, rcptTo } }, done) => {
      void text(stream).then((source) => {
        const from = mailFrom ? mailFrom.address : ''
        mails.push({ user, encrypted: secure, from, to: rcptTo.map(({ address }) => address), source })
        done()
      })
    },
    ...options,
  })
  // A client that gives up is none of its business.
  server.on('error', () => {})
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  return {
    port: (server.server.address() as AddressInfo).port,
    mails,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
