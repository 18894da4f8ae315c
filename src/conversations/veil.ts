import type { MasterKeys } from './master-keys.ts'

/** Hides the names of people where something has to be found without knowing whose it is: only who has the master keys reads them. */
export interface Veil {
  /** The same text gives the same, as long as the present master key is. Printable ASCII. */
  veil(text: string): string
  /** Undefined for what was veiled with a master key that is not known here. Throws sealed_unreadable for what never was. */
  unveil(veiled: string): string | undefined
}

const PLACE = 'veil'

/** Written as the id of the master key, a dot, and the sealed text in base64url. */
export function createVeil(masterKeys: MasterKeys): Veil {
  return {
    veil(text) {
      const { id, seal } = masterKeys.current
      return `${id}.${seal.sealAlike(text, `${PLACE}@${id}`).toString('base64url')}`
    },
    unveil(veiled) {
      const at = veiled.lastIndexOf('.')
      const id = veiled.slice(0, at)
      const sealed = Buffer.from(veiled.slice(at + 1), 'base64url')
      return masterKeys.find(id)?.seal.unseal(sealed, `${PLACE}@${id}`).toString()
    },
  }
}
