import { call, load } from './turn-client.js'

/** A target may take a moment to say what would happen. */
const LOOK_AGAIN_MS = [1000, 3000, 8000]

/**
 * What waits for approval, as the server holds it, with the buttons to decide. `onRun` hears what the run is then, and what
 * came of it if that is known within a minute.
 */
export function approvalForm(id, onRun) {
  const form = make('form', { className: 'aside approval', textContent: 'Approval is needed …' })
  const path = `/api/v1/runs/${id}`
  const problem = make('p', { className: 'fault', role: 'alert' })

  async function refresh() {
    try {
      const run = await load(path)
      if (run.status !== 'awaiting-approval') return onRun(run)
      show(run)
      void lookForPreview(run)
    } catch (error) {
      problem.textContent = error.message
      form.append(problem)
    }
  }

  function show({ action, arguments: given, argumentsHash: hash, approval }) {
    const approve = make('button', { type: 'button', textContent: 'Approve' })
    const reason = make('input', { placeholder: 'Why not?', required: true, maxLength: 500, ariaLabel: 'Reason' })
    const reject = make('button', { textContent: 'Reject' })
    approve.addEventListener('click', () => void decide('approve', { hash }))
    form.onsubmit = (event) => {
      event.preventDefault()
      void decide('reject', { reason: reason.value })
    }
    form.setAttribute('aria-label', `Approval of ${action}`)
    form.replaceChildren(
      make('p', {
        textContent: `${action} waits for approval until ${new Date(approval.expiresAt).toLocaleString()}.`,
      }),
      make('pre', { textContent: JSON.stringify(given, null, 2) }),
      ...foretold(approval),
      make('p', { className: 'hash', textContent: `SHA-256 ${hash}` }),
      approve,
      reason,
      reject,
      problem,
    )
  }

  async function lookForPreview({ argumentsHash, approval }) {
    if (approval.preview !== null) return
    for (const ms of LOOK_AGAIN_MS) {
      await new Promise((resolve) => setTimeout(resolve, ms))
      if (!form.isConnected) return
      const run = await load(path).catch(() => undefined)
      if (run?.status !== 'awaiting-approval' || run.argumentsHash !== argumentsHash) return
      const said = foretold(run.approval)
      // What is being written meanwhile stays.
      if (said.length > 0) return form.querySelector('pre').after(...said)
    }
  }

  async function decide(verb, body) {
    for (const button of form.querySelectorAll('button')) button.disabled = true
    problem.textContent = ''
    try {
      const run = await (await call('POST', `${path}/${verb}`, { body })).json()
      onRun(run)
      if (run.settledAt === null) onRun(await outcome())
    } catch (error) {
      problem.textContent = error.message
      if (error.code === 'approval_changed' || error.code === 'run_state') await refresh()
    } finally {
      for (const button of form.querySelectorAll('button')) button.disabled = false
    }
  }

  async function outcome() {
    const settled = await call('GET', `${path}/stream`, { headers: { accept: 'application/json' } })
    return settled.json()
  }

  void refresh()
  return form
}

function foretold({ preview }) {
  if (preview === null) return []
  return [make('pre', { textContent: `It would do: ${JSON.stringify(preview, null, 2)}` })]
}

function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties)
}
