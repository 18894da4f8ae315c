import { ParleyError } from '#errors.ts'
import { unavailable } from './engine.ts'

/** The call was not executed; it can be sent again, here or elsewhere. */
const notExecuted = /^(NOSCRIPT|MOVED|ASK|TRYAGAIN)\b/
/** The server is there but cannot serve: it loads, has no memory left, is a replica now, knows us no more. */
const unfit =
  /^(LOADING|OOM|BUSY|READONLY|MASTERDOWN|CLUSTERDOWN|NOAUTH|WRONGPASS|NOPERM|MISCONF|NOREPLICAS|UNKILLABLE)\b/

/** What an error of Redis or its connection is to the caller. */
export function replyFault(error: Error): ParleyError | 'again' {
  if (notExecuted.test(error.message)) return 'again'
  // An error reply of the server has this name; all others are of the connection.
  if (error.name !== 'ReplyError' || unfit.test(error.message)) return unavailable(error)
  return new ParleyError('internal', { cause: error })
}

/** The server does not take the password, or has none from us. */
export function isUnauthorized({ message }: Error): boolean {
  return /^(WRONGPASS|NOAUTH)/.test(message)
}
