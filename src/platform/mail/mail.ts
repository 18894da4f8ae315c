/** Sends mail. */
export interface Mailer {
  /**
   * Resolves once the server has taken it, with how many of those it is to it was not taken for; rejects with `MailFailure` when
   * it was for nobody, or took too long.
   */
  send(mail: Mail): Promise<{ refused: number }>
}

export interface Mail {
  from: string
  to: readonly string[]
  subject: string
  text: string
  /** The same for the same mail, so that a mail that comes twice is one. */
  id: string
}

/** Nobody has taken it. What the server said may name people, and is left out. */
export class MailFailure extends Error {
  override readonly name = 'MailFailure'
  /** As the library names it (`EAUTH`, `ETIMEDOUT`), or `timeout`. */
  readonly reason: string
  /** The server's reply code, where it replied. */
  readonly status: number | undefined

  constructor(reason: string, status?: number) {
    super('The mail was not taken.')
    this.reason = reason
    this.status = status
  }
}
