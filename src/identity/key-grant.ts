import { ParleyError } from '#errors.ts'
import type { Principal } from './principal.ts'

type Holder = Pick<Principal, 'key'>

/** Whether the caller may talk to a specialist, or a route of `/v1`: a key to those that it was made for, others to all. */
export function mayTalkTo({ key }: Holder, name: string): boolean {
  return key === undefined || has(key.chat, name)
}

/** Throws key_scope. */
export function checkTalkTo(holder: Holder, name: string): void {
  if (!mayTalkTo(holder, name)) throw new ParleyError('key_scope')
}

/** Whether an action is among those that the caller's key was made for; others may be called whatever a key says. */
export function mayAct({ key }: Holder, action: string): boolean {
  return key === undefined || has(key.actions, action)
}

function has(names: readonly string[], name: string): boolean {
  return names.includes('*') || names.includes(name)
}
