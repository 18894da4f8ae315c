import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAlerts } from './alerts.ts'
import { reader, type Variables } from './reader.ts'

const WEBHOOK = { PARLEY_ALERT_WEBHOOK: 'https://ops.example/hook' }
const MAIL = {
  PARLEY_ALERT_SMTP_URL: 'smtps://user:secret@mail.example',
  PARLEY_ALERT_SMTP_FROM: 'parley@chat.example',
  PARLEY_ALERT_SMTP_TO: 'ops@chat.example, finance@chat.example',
}

function read(variables: Variables) {
  const faults: string[] = []
  const { channels, mail } = readAlerts(reader(variables, faults), faults)
  return { channels, mail, faults: faults.join() }
}

test('what is configured is told of what matters, and the log of everything', () => {
  assert.deepEqual(read({}).channels, { info: ['log'], warning: ['log'], critical: ['log'] })
  const { channels, mail, faults } = read({ ...WEBHOOK, ...MAIL })
  assert.deepEqual(channels, { info: ['log'], warning: ['log', 'webhook'], critical: ['log', 'webhook', 'email'] })
  assert.deepEqual(mail?.to, ['ops@chat.example', 'finance@chat.example'])
  assert.equal(faults, '')
})

test('a severity is told where the environment says, and the others as ever', () => {
  const { channels, faults } = read({ ...WEBHOOK, ...MAIL, PARLEY_ALERTS: 'info: log,webhook ; critical:email;' })
  assert.deepEqual(channels, { info: ['log', 'webhook'], warning: ['log', 'webhook'], critical: ['email'] })
  assert.equal(faults, '')
})

for (const [variables, fault] of [
  [{ PARLEY_ALERTS: 'fatal:log' }, /^PARLEY_ALERTS has to be/],
  [{ PARLEY_ALERTS: 'info:pager' }, /^PARLEY_ALERTS has to be/],
  [{ PARLEY_ALERTS: 'info:log,log,' }, /^PARLEY_ALERTS has to be/],
  [{ PARLEY_ALERTS: 'constructor:log' }, /^PARLEY_ALERTS has to be/],
  [{ PARLEY_ALERTS: 'info' }, /^PARLEY_ALERTS has to be/],
  [{ PARLEY_ALERTS: 'info:webhook' }, /needs PARLEY_ALERT_WEBHOOK$/],
  [{ PARLEY_ALERTS: 'info:email' }, /needs PARLEY_ALERT_SMTP_URL$/],
  [{ ...WEBHOOK, PARLEY_ALERT_WEBHOOK_SECRET: 'whsec_c2hvcnQ=' }, /^PARLEY_ALERT_WEBHOOK_SECRET/],
  [{ ...MAIL, PARLEY_ALERT_SMTP_URL: 'https://mail.example' }, /^PARLEY_ALERT_SMTP_URL/],
  [{ ...MAIL, PARLEY_ALERT_SMTP_URL: '' }, /^Alerts by e-mail need/],
  [{ ...MAIL, PARLEY_ALERT_SMTP_FROM: '' }, /^Alerts by e-mail need/],
  [{ ...MAIL, PARLEY_ALERT_SMTP_TO: '' }, /^Alerts by e-mail need/],
  [{ ...MAIL, PARLEY_ALERT_SMTP_TO: 'Ops <ops@chat.example>' }, /^Alerts by e-mail need/],
] as const) {
  test(`${JSON.stringify(variables)} does not start`, () => {
    assert.match(read(variables).faults, fault)
  })
}
