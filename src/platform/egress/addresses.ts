import { BlockList, isIP, isIPv4 } from 'node:net'

/** What IANA sets apart from the public internet (RFC 6890 and its registry), and the cloud's own service at 168.63.129.16. */
const SPECIAL_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
]
/** All that is public in IPv6; what maps or translates an IPv4 address (`::ffff:0:0/96`, `64:ff9b::/96`) lies outside. */
const PUBLIC_IPV6 = ['2000::/3']
/** Within it: protocol assignments with Teredo, documentation, 6to4. */
const SPECIAL_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']
const LOOPBACK = ['127.0.0.0/8', '::1/128']

/**
 * Tells whether a resolved address may be connected to: it is public, or within one of `privateRanges` (`10.1.0.0/16`,
 * `fd00::/8`, or one address). Throws when a range cannot be read.
 */
export function addressRules(privateRanges: readonly string[]): (address: string) => boolean {
  const permitted = rangesOf(privateRanges)
  return (address) => isIP(address) !== 0 && (isPublic(address) || contains(permitted, address))
}

const special = rangesOf([...SPECIAL_IPV4, ...SPECIAL_IPV6])
const publicIpv6 = rangesOf(PUBLIC_IPV6)
const loopback = rangesOf(LOOPBACK)

export function isLoopback(address: string): boolean {
  return contains(loopback, address)
}

function isPublic(address: string): boolean {
  return (isIPv4(address) || contains(publicIpv6, address)) && !contains(special, address)
}

function contains(ranges: BlockList, address: string): boolean {
  return ranges.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
}

function rangesOf(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', length] = range.split('/', 2)
    const version = isIP(address)
    const widest = version === 4 ? 32 : 128
    const prefix = length === undefined ? widest : Number(length)
    if (version === 0 || length === '' || !Number.isInteger(prefix) || prefix < 0 || prefix > widest) {
      throw new Error(`"${range}" is not a range of addresses: give it as 10.1.0.0/16 or fd00::/8.`)
    }
    list.addSubnet(address, prefix, version === 4 ? 'ipv4' : 'ipv6')
  }
  return list
}
