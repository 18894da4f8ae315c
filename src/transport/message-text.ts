import { ParleyError } from '#errors.ts'

const CONTROL = /[^\P{Cc}\n\r\t]/u

/** Refuses what no model should be sent: nothing but blanks, control characters, halves of characters, too many bytes. */
export function checkMessage(text: string, maxBytes: number, param = 'message'): string {
  // A UTF-16 unit is at least one byte, so most texts that are too large need not be counted.
  if (text.length > maxBytes || Buffer.byteLength(text) > maxBytes) {
    throw new ParleyError('message_too_large', { message: `The message is larger than ${maxBytes} bytes.`, param })
  }
  if (text.trim() === '') throw refusal(param, 'is empty')
  return checkCharacters(text, param)
}

export function checkCharacters(text: string, param: string): string {
  if (!text.isWellFormed()) throw refusal(param, 'is not well-formed Unicode')
  if (CONTROL.test(text)) throw refusal(param, 'contains control characters')
  return text
}

/** What is shown in lists. */
export function checkLine(text: string, param: string): string {
  if (text.trim() === '' || /[\n\r\t]/.test(text)) throw refusal(param, 'has to be one line of text')
  return checkCharacters(text, param)
}

function refusal(param: string, what: string): ParleyError {
  return new ParleyError('invalid_request', { message: `\`${param}\` ${what}.`, param })
}
