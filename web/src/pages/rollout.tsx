import { useMutation, useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { told } from '../../core/client.ts'
import { count, number, plain } from '../../core/format.ts'
import type { Caller, Job, Task, WholeRollout } from '../../core/types.ts'
import { changesText, isInterrupted, isLoud, isOver, isPlanned, jobStates, jobText, looks, stateText, sum, taskText } from '../../core/work.ts'
import { ask, client } from '../api.ts'
import { changed, Sure, useBegin } from '../components/act.tsx'
import { Choice, Empty, Export, Failed, Loading, State, Time, Title, useTitle } from '../components/bits.tsx'
import { Answers, Dialog } from '../components/dialog.tsx'
import { type Column, List } from '../components/list.tsx'
import { Changes, Differs } from '../components/plan.tsx'
import { Progress } from '../components/progress.tsx'
import { Link, useParam } from '../router.tsx'
import { may } from '../who.ts'
import { Approve } from './approve.tsx'

// Rollout is one request over many hosts: what they would do, and once that is approved, what they do.
export function Rollout({ id, me }: { id: number; me: Caller }) {
  const { data: r, error, refetch } = useQuery(ask.rollout(id))
  useTitle(r ? title(r) : 'Rollout')
  if (error && !r) return <Failed error={error} again={() => void refetch()} />
  if (!r) return <Loading />
  const decides = isPlanned(r.work) && r.planned > 0
  return (
    <>
      <Title aside={<Actions of={r} me={me} />}>{title(r)}</Title>
      <p className="quiet">
        Asked by {plain(r.created_by)} <Time at={r.created_at} />
        <Undoes of={r.work} />
        {r.after.restart_services && ' · services are restarted afterwards'}
        {r.after.reboot && ' · rebooted where needed'}
      </p>
      <Standing of={r} />
      <Refusals of={r} me={me} />
      {decides && <Plan of={r} />}
      <Jobs of={r} />
      {!decides && isPlanned(r.work) && r.variants.length > 0 && (
        <details>
          <summary>What was planned</summary>
          <Plan of={r} />
        </details>
      )}
    </>
  )
}

// Undoes says what is taken back.
function Undoes({ of: w }: { of: Task }) {
  if (!w.undo) return null
  const href = w.undo.job ? `/jobs/${w.undo.job}` : `/rollouts/${w.undo.rollout}`
  return (
    <>
      {' '}
      · it takes back <Link href={href}>what was done before</Link>
    </>
  )
}

const title = (r: WholeRollout) => `${taskText(r.work)} on ${count(r.hosts, 'host')}`

// Standing says how many hosts are how far.
function Standing({ of: r }: { of: WholeRollout }) {
  const there = jobStates.filter((s) => r.jobs[s])
  const open = r.hosts - there.filter(isOver).reduce((n, s) => n + (r.jobs[s] ?? 0), 0)
  return (
    <>
      <div className="bar" aria-hidden="true">
        {there.map((s) => (
          <span key={s} className={looks[s]} style={{ flexGrow: r.jobs[s] }} />
        ))}
      </div>
      <ul className="legend" aria-label="How far the hosts are">
        {there.map((s) => (
          <li key={s}>
            <b>{number(r.jobs[s] ?? 0)}</b> <State of={looks[s] ?? ''}>{stateText(s, r.work)}</State>
          </li>
        ))}
      </ul>
      <p role="status">{standing(r, open)}</p>
    </>
  )
}

// standing says in a sentence what happens now.
function standing(r: WholeRollout, open: number): string {
  const planning = r.jobs['planning'] ?? 0
  const bad = sum(r.jobs, 'failed', 'rolled back', 'expired', 'unknown')
  if (planning > 0) return `${count(planning, 'host is', 'hosts are')} asked what they would do. ${r.planned > 0 ? 'You can approve what is planned so far; the others can be approved later.' : 'Nothing is changed meanwhile.'}`
  if (r.planned > 0) return 'Nothing is changed until you approve it.'
  if (open > 0) return `${count(open, 'host is', 'hosts are')} not done yet. This page follows them by itself.`
  if (bad > 0) return `It has ended, and not as wanted on ${count(bad, 'host')}.`
  if (r.jobs['cancelled'] === r.hosts) return 'It was stopped before anything was changed.'
  return 'It has ended.'
}

type Open = '' | 'approve' | 'stop'

function Actions({ of: r, me }: { of: WholeRollout; me: Caller }) {
  const [open, setOpen] = useState<Open>('')
  const close = () => setOpen('')
  const stoppable = sum(r.jobs, 'planning', 'planned', 'approved', 'waiting') + (r.jobs['running'] ?? 0)
  return (
    <>
      <Export path={`/rollouts/${r.id}/jobs`} />
      {may(me, 'operate') && (
        <>
          {stoppable > 0 && <button onClick={() => setOpen('stop')}>{r.planned > 0 && !r.jobs['running'] ? 'Cancel…' : 'Stop what has not begun…'}</button>}
          {isPlanned(r.work) && stoppable === 0 && sum(r.jobs, 'succeeded', 'failed') > 0 && <Undo of={r} />}
          {r.planned > 0 && (
            <button className="main" onClick={() => setOpen('approve')}>
              Approve for {count(r.planned, 'host')}…
            </button>
          )}
        </>
      )}
      {open === 'approve' && <Approve of={r} close={close} />}
      {open === 'stop' && <Stop of={r} close={close} />}
    </>
  )
}

function Stop({ of: r, close }: { of: WholeRollout; close: () => void }) {
  const stop = useMutation({
    mutationFn: () => told(client.POST('/rollouts/{rollout}/cancel', { params: { path: { rollout: r.id } } })),
    onSettled: changed,
    onSuccess: ({ asked, running }) => {
      if (asked.length + running.length === 0) close()
    },
  })
  const running = r.jobs['running'] ?? 0
  if (stop.data)
    return (
      <Dialog title={`${count(stop.data.stopped.length, 'host')} stopped`} close={close}>
        <Left text="These have it already, and were asked to leave it:" jobs={stop.data.asked} />
        <Left text="These have begun: what only downloads ends, and what changes its host goes on to its end:" jobs={stop.data.running} />
        <Answers close={close}>{null}</Answers>
      </Dialog>
    )
  return (
    <Dialog title="Stop what has not begun?" close={close}>
      <p>{count(sum(r.jobs, 'planning', 'planned', 'approved', 'waiting'), 'host has', 'hosts have')} not begun.</p>
      {running > 0 && (
        <p className="note">
          {count(running, 'host is', 'hosts are')} at it: where it only downloads it stops, and where something is changed already it goes on to its end, because half of it would be worse.
        </p>
      )}
      {stop.isError && <Failed error={stop.error} />}
      <Answers close={close}>
        <button className="main" disabled={stop.isPending} onClick={() => stop.mutate()}>
          Stop
        </button>
      </Answers>
    </Dialog>
  )
}

// Left are the jobs that a stop has not ended.
function Left({ text, jobs }: { text: string; jobs: { job: number; host_name: string }[] }) {
  if (jobs.length === 0) return null
  const names = jobs.slice(0, named).map((j) => plain(j.host_name))
  return (
    <p className="note">
      {text} {names.join(', ')}
      {jobs.length > named && ` and ${number(jobs.length - named)} more`}
    </p>
  )
}

// Undo asks every host on which something was done for the way back. It is planned and approved like everything else.
function Undo({ of: r }: { of: WholeRollout }) {
  const undo = useBegin()
  return (
    <>
      {undo.isError && (
        <span role="alert" className="state security">
          {plain(undo.error.message)}
        </span>
      )}
      <button disabled={undo.isPending} onClick={() => undo.mutate({ work: { undo: { rollout: r.id } } })} title="The way back is planned first, and waits for an approval">
        Undo…
      </button>
    </>
  )
}

// Refusals are the hosts that could not say what they would do, together where they give the same reason.
function Refusals({ of: r, me }: { of: WholeRollout; me: Caller }) {
  const bad = sum(r.jobs, 'failed', 'expired')
  const { data } = useQuery({ ...ask.refusals(r.id), enabled: bad > 0 && isPlanned(r.work) })
  const [repair, setRepair] = useState<Job[]>()
  const by = new Map<string, Job[]>()
  for (const j of data?.items ?? []) if (!j.work_order) by.set(`${j.because}\n${j.remedy}`, [...(by.get(`${j.because}\n${j.remedy}`) ?? []), j])
  if (bad === 0 || by.size === 0) return null
  return (
    <>
      {[...by].map(([why, jobs]) => (
        <div key={why} className="note bad">
          <p>
            <State of="security">
              {count(jobs.length, 'host')} could not plan
            </State>
            : <JobLinks jobs={jobs} />
          </p>
          {why.split('\n').map((line, i) => line && <p key={i}>{plain(line)}</p>)}
          {jobs.some(isInterrupted) && may(me, 'operate') && <button onClick={() => setRepair(jobs)}>Repair {count(jobs.length, 'host')}…</button>}
        </div>
      ))}
      {data?.next && <p className="quiet">There are more: they are in the list below.</p>}
      {repair && (
        <Sure on={{ hosts: repair.map((j) => ({ id: j.host, name: j.host_name })) }} title={`Repair ${count(repair.length, 'host')}?`} ask="repair" work={() => ({ repair: {} })} does="Repair" close={() => setRepair(undefined)}>
          <p>The package manager finishes what was interrupted there: dpkg --configure -a, and what that needs.</p>
        </Sure>
      )}
    </>
  )
}

// named is how many hosts are named in a sentence.
const named = 10

function JobLinks({ jobs }: { jobs: Job[] }) {
  return (
    <>
      {jobs.slice(0, named).map((j, i) => (
        <span key={j.id}>
          {i > 0 && ', '}
          <Link href={`/jobs/${j.id}`}>{plain(j.host_name)}</Link>
        </span>
      ))}
      {jobs.length > named && ` and ${number(jobs.length - named)} more`}
    </>
  )
}

// variantsAtFirst is how many different plans are drawn before somebody asks for all.
const variantsAtFirst = 10

// Plan has on top in what hosts differ, because that is what a person must look at, and then what all would do.
function Plan({ of: r }: { of: WholeRollout }) {
  const [all, setAll] = useState(false)
  const link = (h: { job: number; host_name: string }): ReactNode => <Link href={`/jobs/${h.job}`}>{plain(h.host_name)}</Link>
  const weight = (v: WholeRollout['variants'][number]) => (v.changes.some(isLoud) || v.warnings.length > 0 ? 1 : 0)
  const variants = [...r.variants].sort((a, b) => weight(b) - weight(a))
  const same = variants.length === 1
  return (
    <section className="plan">
      {same ? <h2>{r.planned === 1 || r.hosts === 1 ? 'The plan' : 'All hosts would do the same'}</h2> : <h2>In what the hosts differ: {count(variants.length, 'plan')}</h2>}
      {(all ? variants : variants.slice(0, variantsAtFirst)).map((v) => (
        <Differs key={v.hosts[0]?.job} of={v} host={link} common={r.common} />
      ))}
      {r.more > 0 && (
        <p className="note bad">
          <State of="unknown">{count(r.more, 'host has', 'hosts have')} yet other plans</State>, too many to compare: look at each in the list below, or make several rollouts.
        </p>
      )}
      {!all && variants.length > variantsAtFirst && <button onClick={() => setAll(true)}>Show all {number(variants.length)} plans</button>}
      {r.common.length > 0 && (
        <>
          <h2>
            {same ? '' : 'What all of them would change: '}
            {changesText(r.common)}
          </h2>
          <Changes changes={r.common} label="What all hosts would change" />
        </>
      )}
    </section>
  )
}

const columns: Column<Job>[] = [
  { head: 'Host', width: 'minmax(10rem, 1.2fr)', cell: (j) => <Link href={`/jobs/${j.id}`}>{plain(j.host_name)}</Link> },
  {
    head: 'State',
    width: 'minmax(16rem, 4fr)',
    cell: (j) => (
      <>
        <State of={looks[j.state] ?? ''}>{jobText(j)}</State>
        {j.because && <small>{plain(j.because)}</small>}
        {!isOver(j.state) && <Progress job={j} tail />}
      </>
    ),
  },
  { head: 'Changes', width: '5.5rem', number: true, cell: (j) => (j.changes > 0 ? number(j.changes) : '') },
  { head: 'Since', width: '7.5rem', cell: (j) => <Time at={j.changed_at} /> },
]

const jobID = (j: Job) => String(j.id)

function Jobs({ of: r }: { of: WholeRollout }) {
  const [state] = useParam('state')
  return (
    <section>
      <h2>Hosts</h2>
      {r.hosts > 1 && (
        <div className="filters">
          <Choice
            name="state"
            label="State"
            choices={[
              ['', 'All'],
              ['open', 'Not ended'],
              ['failed', 'Not as wanted'],
            ]}
          />
        </div>
      )}
      <List label="Hosts of this rollout" asked={ask.rolloutJobs(r.id, { state })} columns={columns} id={jobID} empty={<Empty>No host of this rollout is like that.</Empty>} />
    </section>
  )
}
