import type { Socket } from 'node:net'
import type { Clock } from '#platform/clock.ts'
import { type Mail, type Mailer, MailFailure } from './mail.ts'

export interface SmtpOptions {
  /** `smtps://user:password@host:465`, or `smtp://…:587`, which is upgraded to TLS. Asked for each mail. */
  url(): string
  /** Opens the connection, where that is permitted. */
  connect(host: string, port: number, signal: AbortSignal): Promise<Socket>
  clock: Clock
}

/** Of the whole exchange: a server that drips its replies does not hold it up for ever. */
const TOTAL_MS = 30_000
const SILENCE_MS = 10_000

/** Mail over SMTP. Only to this machine it goes without TLS; elsewhere the certificate is verified. */
export function createSmtpMailer({ url, connect, clock }: SmtpOptions): Mailer {
  async function deliver(mail: Mail, signal: AbortSignal, opened: (socket: Socket) => void) {
    const { default: nodemailer } = await import('nodemailer')
    const { protocol, hostname, port, username, password } = new URL(url())
    const host = hostname.replace(/^\[|\]$/g, '')
    const secure = protocol === 'smtps:'
    const isHere = /^(localhost|127\.[\d.]+|::1)$/.test(host)
    const transport = nodemailer.createTransport({
      host,
      port: smtpPort({ protocol, port }),
      secure,
      requireTLS: !secure && !isHere,
      ...(username && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
      greetingTimeout: SILENCE_MS,
      socketTimeout: SILENCE_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
      getSocket: ({ host: to = host, port: at = 0 }, answer) => {
        connect(to, Number(at), signal).then(
          (connection) => {
            opened(connection)
            answer(null, { connection })
          },
          (error) => answer(error as Error),
        )
      },
    })
    const { id, from, to, subject, text } = mail
    const messageId = `<${id}@${from.split('@')[1]}>`
    const { rejected } = await transport.sendMail({ from, to: [...to], subject, text, messageId })
    return { refused: rejected.length }
  }

  return {
    async send(mail) {
      const late = new AbortController()
      let socket: Socket | undefined
      const over = Promise.withResolvers<never>()
      const cancel = clock.after(TOTAL_MS, () => {
        late.abort(new Error('The time for a mail is over.'))
        over.reject(new MailFailure('timeout'))
      })
      try {
        return await Promise.race([deliver(mail, late.signal, (opened) => (socket = opened)), over.promise])
      } catch (error) {
        throw failure(error)
      } finally {
        cancel()
        socket?.destroy()
      }
    },
  }
}

/** Where a server of this URL listens. */
export function smtpPort({ protocol, port }: Pick<URL, 'protocol' | 'port'>): number {
  return Number(port || (protocol === 'smtps:' ? 465 : 587))
}

function failure(error: unknown): MailFailure {
  if (error instanceof MailFailure) return error
  const { code, responseCode } = error as { code?: unknown; responseCode?: unknown }
  return new MailFailure(
    typeof code === 'string' ? code : 'unknown',
    typeof responseCode === 'number' ? responseCode : undefined,
  )
}
