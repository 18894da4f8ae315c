/** Digits after the point: the smallest price of a token has some ten, and a number shows 17 that count. */
const DIGITS = 40

/** The sum of numbers as they are written, in decimals: exact, whatever their order, but for the last step back to a number. */
export function sumDecimals(numbers: Iterable<number>): number {
  let sum = 0n
  for (const number of numbers) sum += scaled(number)
  return Number(`${sum}e-${DIGITS}`)
}

function scaled(number: number): bigint {
  const [mantissa = '', exponent = '0'] = String(number).split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  const shift = DIGITS - fraction.length + Number(exponent)
  if (shift < 0) throw new RangeError(`${number} has more digits than an amount of money`)
  return BigInt(whole + fraction) * 10n ** BigInt(shift)
}
