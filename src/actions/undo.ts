import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { readArguments } from './arguments.ts'
import { configOf, type PinnedConfigs } from './config-of.ts'
import { type Decisions, operate, permit } from './decisions.ts'
import type { Dispatcher } from './dispatcher.ts'
import { CorrectableError } from './executors/executor.ts'
import { actionOf, refusalError, refusalOf } from './rules.ts'
import { readUndoings } from './runs/reads.ts'
import { isNeverDone, type RunRow } from './runs/run-row.ts'
import type { RunSeals } from './runs/run-seals.ts'
import { undoArguments } from './undo-arguments.ts'

export interface UndoOptions {
  sql: Sql
  seals: RunSeals
  configs: PinnedConfigs
  decisions: Decisions
  dispatcher: Dispatcher
}

/**
 * Undoes a run: by the compensating action of the version that it was done by, which is a run of its own and goes through all
 * rules. What that one's own undo would be is nobody's business here: an undoing is undone by asking for that, too.
 */
export async function undoRun(
  { sql, seals, configs, decisions, dispatcher }: UndoOptions,
  principal: Principal,
  id: string,
  traceparent: string | undefined,
): Promise<RunRow> {
  const row = await decisions.read(principal, id)
  if (row.owner !== principal.id) operate(principal)
  permit(row, ['succeeded'])
  const known = (await readUndoings(sql, { tenant: row.tenant }, [id])).get(id)
  if (known && !isNeverDone(known)) return decisions.read(principal, known.id)
  const config = await configOf(configs, row)
  const undo = actionOf(config, row.action)?.undo
  if (!undo) throw new ParleyError('run_state', { message: 'There is nothing that undoes this action.' })
  const { action } = undo
  const spec = actionOf(config, action)
  if (!spec) throw new ParleyError('action_not_found')
  const refusal = refusalOf(config, action, spec, principal)
  if (refusal) throw refusalError(refusal)
  const [{ arguments: args }, output = 'null'] = await Promise.all([seals.input(row), seals.outcome(row)])
  const given = written(undo.arguments, { result: JSON.parse(output), arguments: args })
  const read = readArguments(spec.parameters, JSON.stringify(given))
  if ('refusal' in read) throw new ParleyError('arguments_invalid', { message: `${action}: ${read.refusal}` })
  return dispatcher.undo(principal, row, { action, config: config.name, spec, arguments: read.value, traceparent })
}

function written(...[template, done]: Parameters<typeof undoArguments>): unknown {
  try {
    return undoArguments(template, done)
  } catch (error) {
    if (!(error instanceof CorrectableError)) throw error
    throw new ParleyError('arguments_invalid', { message: error.message })
  }
}
