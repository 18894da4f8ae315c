export type Variables = Readonly<Record<string, string | undefined>>

export type Reader = ReturnType<typeof reader>

/** Reads variables, and gathers what is wrong with them in `faults`. */
export function reader(variables: Variables, faults: string[]) {
  const text = (name: string): string | undefined => variables[name]?.trim() || undefined
  return {
    text,
    integer(name: string, fallback: number, min: number, max: number): number {
      const given = text(name)
      if (given === undefined) return fallback
      const value = /^\d+$/.test(given) ? Number(given) : Number.NaN
      if (!(value >= min && value <= max)) faults.push(`${name} has to be an integer from ${min} to ${max}`)
      return value
    },
    oneOf<const Value extends string>(name: string, values: readonly Value[], fallback: Value): Value {
      const given = text(name)
      const value = given === undefined ? fallback : values.find((one) => one === given)
      if (value === undefined) faults.push(`${name} has to be one of ${values.join(', ')}`)
      return value ?? fallback
    },
    url(name: string, protocols: readonly string[]): string | undefined {
      const given = text(name)
      if (given === undefined) return undefined
      const protocol = URL.parse(given)?.protocol
      if (!protocol || !protocols.includes(protocol))
        faults.push(`${name} has to be a URL of ${protocols.join(' or ')}//`)
      return given
    },
    list: (name: string): string[] =>
      text(name)
        ?.split(',')
        .map((item) => item.trim())
        .filter(Boolean) ?? [],
  }
}
