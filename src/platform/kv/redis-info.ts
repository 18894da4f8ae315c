/** What INFO says about the fitness of a server, as far as it says anything: CONFIG is forbidden on Azure. */
export function faultOf(info: string, cluster: boolean): string | undefined {
  const policy = field(info, 'maxmemory_policy')
  if (policy !== undefined && policy !== 'noeviction') {
    return `Redis evicts what it should keep: maxmemory-policy is ${policy} and has to be noeviction`
  }
  const enabled = field(info, 'cluster_enabled')
  if (enabled === '1' && !cluster) return 'Redis is a cluster, and has to be named as one'
  if (enabled === '0' && cluster) return 'Redis is named as a cluster, and is none'
  return undefined
}

export function keepsNoLog(info: string): boolean {
  return field(info, 'aof_enabled') === '0'
}

function field(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(\\S*)`, 'm').exec(info)?.[1]
}
