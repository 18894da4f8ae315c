import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { manualClock } from '../../../test/support/clock.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { rawTarget } from '../../../test/support/http-target.ts'
import { startMailServer } from '../../../test/support/mail-server.ts'
import { type Clock, systemClock } from '../clock.ts'
import { createEgressFetch } from '../egress/fetch.ts'
import { createSmtpMailer } from './smtp.ts'

const mail = {
  id: 'alert_1',
  from: 'parley@chat.example',
  to: ['ops@chat.example', 'finance@chat.example'],
  subject: '95 % of a budget',
  text: 'Zwölf\n.\nUSD',
}
const USER = 'parley:p%40ss%20word'

function mailer(
  t: TestContext,
  url: string,
  { clock = systemClock, hosts = ['localhost'] }: { clock?: Clock; hosts?: string[] } = {},
) {
  const { connect, close } = createEgressFetch({
    hosts,
    privateRanges: ['127.0.0.1'],
    clock,
    lookup: async () => ['127.0.0.1'],
  })
  t.after(close)
  return createSmtpMailer({ url: () => url, connect, clock })
}

const refused = (reason: string, status?: number) => ({ name: 'MailFailure', reason, status })

for (const [scheme, options] of [
  ['smtps', { secure: true }],
  ['smtp', {}],
] as const) {
  test(`over ${scheme} a mail is taken for all, encrypted, from whom it says`, async (t) => {
    await using server = await startMailServer(options)
    await mailer(t, `${scheme}://${USER}@localhost:${server.port}`).send(mail)
    const [{ source = '', ...received } = {}, ...more] = server.mails
    assert.deepEqual([received, more], [{ user: 'parley', encrypted: true, from: mail.from, to: mail.to }, []])
    assert.match(source, /^Message-ID: <alert_1@chat\.example>\r$/m)
    assert.match(source, /^Subject: 95 % of a budget\r$/m)
    assert.match(source, /Zw=C3=B6lf\r\n\.\.?\r\nUSD/)
  })
}

test('a server on this machine may have no TLS, any other has to', async (t) => {
  await using server = await startMailServer({ hideSTARTTLS: true, disabledCommands: ['STARTTLS'] })
  await mailer(t, `smtp://localhost:${server.port}`).send(mail)
  assert.equal(server.mails[0]?.encrypted, false)
  const elsewhere = mailer(t, `smtp://${USER}@mail.test:${server.port}`, { hosts: ['mail.test'] })
  await assert.rejects(elsewhere.send(mail), { name: 'MailFailure' })
  assert.equal(server.mails.length, 1)
})

test('a certificate of another name is none', async (t) => {
  await using server = await startMailServer({ secure: true })
  const elsewhere = mailer(t, `smtps://mail.test:${server.port}`, { hosts: ['mail.test'] })
  await assert.rejects(elsewhere.send(mail), { name: 'MailFailure' })
  assert.equal(server.mails.length, 0)
})

test('a wrong password, and a recipient who is not there, are said without naming anybody', async (t) => {
  await using server = await startMailServer({
    onRcptTo: ({ address }, _session, done) =>
      done(
        address.startsWith('finance') ? Object.assign(new Error(`No such ${address}`), { responseCode: 550 }) : null,
      ),
  })
  await assert.rejects(mailer(t, `smtp://parley:wrong@localhost:${server.port}`).send(mail), refused('EAUTH', 535))
  const { send } = mailer(t, `smtp://localhost:${server.port}`)
  assert.deepEqual(await send(mail), { refused: 1 })
  assert.deepEqual(server.mails[0]?.to, ['ops@chat.example'])
  const outcome: unknown = await send({ ...mail, to: ['finance@chat.example'] }).catch((error: unknown) => error)
  assert.doesNotMatch(`${JSON.stringify(outcome)} ${outcome}`, /finance@|No such/)
  assert.deepEqual({ ...(outcome as object) }, { name: 'MailFailure', reason: 'EENVELOPE', status: 550 })
})

test('a server that refuses every mail is told of by its code', async (t) => {
  const onMailFrom = (_address: unknown, _session: unknown, done: (error: Error) => void) =>
    done(Object.assign(new Error('Busy'), { responseCode: 451 }))
  await using server = await startMailServer({ onMailFrom })
  await assert.rejects(mailer(t, `smtp://localhost:${server.port}`).send(mail), refused('EENVELOPE', 451))
})

test('nobody there, and a host that the environment does not permit', async (t) => {
  await assert.rejects(mailer(t, `smtp://localhost:${await freePort()}`).send(mail), { name: 'MailFailure' })
  const other = createSmtpMailer({
    url: () => 'smtp://other.test',
    connect: createEgressFetch({ hosts: ['localhost:587'], privateRanges: [], clock: systemClock }).connect,
    clock: systemClock,
  })
  await assert.rejects(other.send(mail), { name: 'MailFailure' })
})

test('a server that drips its greeting is given up after half a minute, and its connection with it', async (t) => {
  const clock = manualClock()
  const closed = Promise.withResolvers<void>()
  const greeted = Promise.withResolvers<void>()
  await using server = await rawTarget((socket) => {
    socket.on('close', () => closed.resolve())
    socket.on('error', () => {})
    socket.write('220-w')
    greeted.resolve()
  })
  const sending = mailer(t, `smtp://localhost:${server.port}`, { clock }).send(mail)
  await greeted.promise
  await new Promise(setImmediate)
  clock.advance(30_000)
  await assert.rejects(sending, refused('timeout'))
  await closed.promise
})
