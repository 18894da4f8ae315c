import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cloudOf } from './entra-clouds.ts'

test('each national cloud has its authority, its issuer of v1 tokens and its directory', () => {
  const issuers = (authority: string) => {
    const { authority: base, v1Issuer, graph } = cloudOf(authority)
    return [base, v1Issuer, graph]
  }
  assert.deepEqual(issuers('https://login.microsoftonline.com'), [
    'https://login.microsoftonline.com',
    'https://sts.windows.net',
    'https://graph.microsoft.com',
  ])
  assert.deepEqual(issuers('https://login.microsoftonline.us/'), [
    'https://login.microsoftonline.us',
    'https://sts.windows.net',
    'https://graph.microsoft.us',
  ])
  const china = [
    'https://login.partner.microsoftonline.cn',
    'https://sts.chinacloudapi.cn',
    'https://microsoftgraph.chinacloudapi.cn',
  ]
  assert.deepEqual(issuers('https://login.partner.microsoftonline.cn'), china)
  assert.deepEqual(issuers('https://login.chinacloudapi.cn'), china, 'its former name')
  assert.deepEqual(issuers('https://Login.Windows.net'), issuers('https://login.microsoftonline.com'))
})

test('another authority issues its own tokens, and has no directory that is known', () => {
  assert.deepEqual(cloudOf('https://id.example/'), {
    authority: 'https://id.example',
    v1Issuer: 'https://id.example',
    graph: undefined,
  })
})
