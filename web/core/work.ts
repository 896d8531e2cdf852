// How work is said: what was asked of hosts, how far it is, and what came of it.
import { count, number } from './format.ts'
import type { Change, Job, Outcome, Policy, Task } from './types.ts'

// few is how many names stand in a title.
const few = 3

function names(list: string[]): string {
  return list.length > few ? `${list.slice(0, few).join(', ')} and ${number(list.length - few)} more` : list.join(', ')
}

// taskText says what was asked for.
export function taskText(t: Task): string {
  if (t.install) return t.install.security ? 'Security updates' : t.install.all ? 'All updates' : `Update ${names(t.install.names ?? [])}`
  if (t.undo) return 'Undo'
  if (t.hold) return `${t.hold.hold ? 'Hold' : 'Release'} ${names(t.hold.names)}`
  if (t.restart) return t.restart.names?.length ? `Restart ${names(t.restart.names)}` : 'Restart services'
  if (t.reboot) return t.reboot.if_needed ? 'Reboot if needed' : 'Reboot'
  if (t.repair) return 'Repair'
  return 'Unknown work'
}

// isPlanned says whether it is planned and approved before it is done.
export const isPlanned = (t: Task) => Boolean(t.install ?? t.undo)

// jobStates are those of a job, in the order in which a person wants to hear of them: what went wrong, what asks for somebody, what goes on.
export const jobStates = ['failed', 'unknown', 'rolled back', 'expired', 'planned', 'running', 'approved', 'waiting', 'planning', 'succeeded', 'cancelled']

const over = ['succeeded', 'failed', 'rolled back', 'cancelled', 'expired', 'unknown']

// isOver says whether nothing more is to come.
export const isOver = (state: string) => over.includes(state)

// looks gives each state one of the page's few appearances.
export const looks: Record<string, string> = {
  planning: 'running', planned: 'waiting', approved: 'waiting', waiting: 'waiting', running: 'running', succeeded: 'current', failed: 'security', 'rolled back': 'back', cancelled: 'cancelled', expired: 'security', unknown: 'unknown',
}

// stateText says a state in words; what was installed and looked at afterwards is verified.
export function stateText(state: string, task?: Task): string {
  if (state === 'succeeded') return task && isPlanned(task) ? 'done, verified' : 'done'
  if (state === 'planned') return 'planned, not approved'
  if (state === 'approved') return 'not fetched yet'
  return state
}

// jobText says how far a job is.
export function jobText(j: Job): string {
  if (j.state === 'succeeded' && isPlanned(j.work) && j.changes === 0) return 'nothing to do'
  if (j.cancelling) return `${j.state}, asked to stop`
  return stateText(j.state, j.work)
}

// tally says how many jobs are in which state.
export function tally(jobs: Record<string, number>, task?: Task): string {
  return jobStates
    .filter((s) => jobs[s])
    .map((s) => `${number(jobs[s] ?? 0)} ${stateText(s, task)}`)
    .join(', ')
}

// sum counts the jobs in some of the states.
export const sum = (jobs: Record<string, number>, ...states: string[]) => states.reduce((n, s) => n + (jobs[s] ?? 0), 0)

// rolloutState is the one of its jobs' states that a person should know first.
export function rolloutState(jobs: Record<string, number>): string {
  const going = ['running', 'waiting', 'approved', 'planning', 'planned'].find((s) => jobs[s])
  return going ?? jobStates.find((s) => jobs[s]) ?? 'unknown'
}

// isLoud says whether a change takes something away: it must not be overlooked.
export const isLoud = (c: Change) => ['remove', 'purge', 'downgrade'].includes(c.action)

// changesText says how many changes of which kind there are, what is loud first.
export function changesText(changes: Change[]): string {
  const by = new Map<string, number>()
  for (const c of changes) by.set(c.action, (by.get(c.action) ?? 0) + 1)
  const said = ['remove', 'purge', 'downgrade', 'install', 'upgrade', 'recreate']
  const words: Record<string, [string, string]> = {
    remove: ['removal', 'removals'], purge: ['purge', 'purges'], downgrade: ['downgrade', 'downgrades'], install: ['new package', 'new packages'], upgrade: ['upgrade', 'upgrades'], recreate: ['container made anew', 'containers made anew'],
  }
  return said
    .filter((a) => by.has(a))
    .map((a) => count(by.get(a) ?? 0, ...(words[a] as [string, string])))
    .join(', ')
}

// verified says whether an outcome is all that was wanted: nothing missing, nothing half, and what ran before runs.
export const verified = (o: Outcome) => o.because === '' && o.missing.length === 0 && o.half_done.length === 0 && o.stopped.length === 0

// allowText says how much a server may ask of a host.
export function allowText(allow: string): string {
  const words: Record<string, string> = {
    report: 'reports only: nothing is planned or installed at a server’s word',
    plan: 'plans only: a server may ask what an installation would do, and install nothing',
    security: 'security updates, with what they need',
    all: 'every update whose plan was approved',
  }
  return words[allow] ?? allow
}

// Asks are the kinds of work that a policy has something to say of.
export type Ask = 'install' | 'restart' | 'reboot' | 'hold' | 'repair'

// forbids says why a host's policy does not let a server have something done; empty where it does, or where the host has not said: then it answers
// itself, once it is asked.
export function forbids(p: Policy | undefined, what: Ask): string {
  if (!p) return ''
  if (p.because) return 'the host’s policy cannot be read, so it allows reports only'
  if (what === 'restart') return p.restart ? '' : 'the host’s policy does not let a server restart services'
  if (what === 'reboot') return p.reboot ? '' : 'the host’s policy does not let a server reboot it'
  if (p.allow === 'report') return 'the host’s policy allows reports only'
  if (p.allow === 'plan' && what !== 'install') return 'the host’s policy allows plans only'
  return ''
}

// refuses says why a host will not install what it has planned, as far as that is known beforehand; empty where it is not known that it will not. Its own
// decision is by each package, when it is asked.
export function refuses(p: Policy | undefined, t?: Task): string {
  const why = forbids(p, 'install')
  if (why || !p) return why
  if (p.allow === 'plan') return 'the host’s policy lets a server plan, and install nothing'
  if (p.allow === 'security' && t && !t.install?.security) return 'the host’s policy lets a server install what is for security, and nothing else'
  return ''
}

// isInterrupted says whether a host cannot plan because a package manager did not finish: repairing mends that.
export const isInterrupted = (j: Job) => /redflag repair/.test(j.remedy)
