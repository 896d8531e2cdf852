import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { told } from '../../core/client.ts'
import { plain } from '../../core/format.ts'
import type { Caller, WholeJob } from '../../core/types.ts'
import { changesText, isInterrupted, isOver, isPlanned, jobText, looks, stateText, taskText, verified } from '../../core/work.ts'
import { ask, client } from '../api.ts'
import { changed, Reboots, Sure, type Targets, useBegin } from '../components/act.tsx'
import { Failed, Loading, State, Time, Title, useTitle } from '../components/bits.tsx'
import { Answers, Dialog } from '../components/dialog.tsx'
import { Changes, stakeOf, Stakes } from '../components/plan.tsx'
import { Progress } from '../components/progress.tsx'
import { Link } from '../router.tsx'
import { may } from '../who.ts'
import { Log } from './log.tsx'

// Job is what was asked of one host: what it would do, what it does, and what came of it.
export function Job({ id, me }: { id: number; me: Caller }) {
  const { data: j, error, refetch } = useQuery(ask.job(id))
  useTitle(j ? `${taskText(j.work)} on ${j.host_name}` : 'Job')
  if (error && !j) return <Failed error={error} again={() => void refetch()} />
  if (!j) return <Loading />
  return (
    <>
      <Title aside={may(me, 'operate') && <Actions job={j} />}>
        {plain(taskText(j.work))} on {plain(j.host_name)} <State of={looks[j.state] ?? ''}>{jobText(j)}</State>
      </Title>
      <p className="quiet">
        <Link href={`/rollouts/${j.rollout}`}>The whole rollout</Link> · <Link href={`/hosts/${j.host}`}>{plain(j.host_name)}</Link> · asked by {plain(j.created_by)} <Time at={j.created_at} />
        {j.approved_by && (
          <>
            {' '}
            · approved by {plain(j.approved_by)} <Time at={j.approved_at} />
          </>
        )}
      </p>
      <Why job={j} />
      {!isOver(j.state) && <Progress job={j} />}
      {j.outcomes.map((o) => (
        <Outcome key={o.id + o.source} of={o} me={me} host={{ id: j.host, name: j.host_name }} />
      ))}
      {j.state === 'planned' && <Plans job={j} />}
      {(j.lines > 0 || j.state === 'running' || j.work_order !== undefined) && <Log job={id} host={j.host_name} />}
      {j.state !== 'planned' && j.plans.length > 0 && (
        <details>
          <summary>What was planned: {changesText(j.plans.flatMap((p) => p.changes)) || 'nothing'}</summary>
          <Plans job={j} />
        </details>
      )}
    </>
  )
}

// Why says why it is as it is, and what can be done.
function Why({ job: j }: { job: WholeJob }) {
  if (j.state === 'planned' && j.because === '') return <p>It waits for an approval, until {new Date(j.expires_at).toLocaleString()}.</p>
  const told = j.outcomes.some((o) => o.outcome.because !== '' && j.because.includes(o.outcome.because))
  if (told || (!j.because && !j.remedy)) return null // what became of a source says it itself
  return (
    <div className={isOver(j.state) && j.state !== 'succeeded' ? 'note bad' : 'note'}>
      {j.because && <p>{plain(j.because)}</p>}
      {j.remedy && <p>{plain(j.remedy)}</p>}
    </div>
  )
}

type Open = '' | 'approve' | 'repair'

function Actions({ job: j }: { job: WholeJob }) {
  const [open, setOpen] = useState<Open>('')
  const on: Targets = { hosts: [{ id: j.host, name: j.host_name }] }
  const undo = useBegin()
  const cancel = useMutation({
    mutationFn: () => told(client.POST('/jobs/{job}/cancel', { params: { path: { job: j.id } } })),
    onSettled: changed,
  })
  const close = () => setOpen('')
  const failed = [undo, cancel].find((m) => m.isError)
  return (
    <>
      {failed && (
        <span role="alert" className="state security">
          {plain(failed.error?.message ?? '')}
        </span>
      )}
      {j.state === 'planned' && j.digest && (
        <button className="main" onClick={() => setOpen('approve')}>
          Approve…
        </button>
      )}
      {!isOver(j.state) && (
        <button disabled={cancel.isPending || j.cancelling} onClick={() => cancel.mutate()} title="What has begun to change the host goes on to its end">
          {j.cancelling ? 'Asked to stop…' : 'Stop, if not begun'}
        </button>
      )}
      {isInterrupted(j) && <button onClick={() => setOpen('repair')}>Repair…</button>}
      {canUndo(j) && (
        <button disabled={undo.isPending} onClick={() => undo.mutate({ work: { undo: { job: j.id } } })} title="The way back is planned first, and waits for an approval">
          Undo…
        </button>
      )}
      {open === 'approve' && <Approve job={j} close={close} />}
      {open === 'repair' && (
        <Sure on={on} title={`Repair ${plain(j.host_name)}?`} ask="repair" work={() => ({ repair: {} })} does="Repair" close={close}>
          <p>The package manager finishes what was interrupted there: dpkg --configure -a, and what that needs.</p>
        </Sure>
      )}
    </>
  )
}

// canUndo says whether something was done that can be taken back.
const canUndo = (j: WholeJob) => ['succeeded', 'failed', 'unknown'].includes(j.state) && isPlanned(j.work) && j.outcomes.some((o) => o.outcome.done.length > 0 && !o.outcome.rolled_back)

function Approve({ job, close }: { job: WholeJob; close: () => void }) {
  const [seen, setSeen] = useState(job) // what is approved is what was looked at
  const approve = useMutation({
    mutationFn: () => told(client.POST('/jobs/{job}/approve', { params: { path: { job: job.id } }, body: { digest: seen.digest } })),
    onSuccess: close,
    onSettled: changed,
  })
  const changes = seen.plans.flatMap((p) => p.changes)
  return (
    <Dialog title={`Approve for ${plain(job.host_name)}`} close={close}>
      <p>
        <b>{changesText(changes) || 'Nothing to change'}</b>
      </p>
      {seen.plans.map((p) => (
        <Stakes key={p.source} of={stakeOf(p)} changes={p.changes.length} />
      ))}
      <p className="quiet">Exactly this is done, or nothing: the host plans once more before it begins.</p>
      {approve.isError && <Failed error={approve.error} />}
      {job.digest !== seen.digest ? (
        <div className="note bad" role="alert">
          <p>{job.state === 'planned' ? 'The plan is another one now. Look at it before you approve it.' : `It is ${stateText(job.state, job.work)} by now.`}</p>
        </div>
      ) : null}
      <Answers close={close}>
        {job.digest !== seen.digest && job.state === 'planned' ? (
          <button onClick={() => setSeen(job)}>Show what is planned now</button>
        ) : (
          <button className="main" disabled={approve.isPending || job.state !== 'planned'} onClick={() => approve.mutate()}>
            Approve
          </button>
        )}
      </Answers>
    </Dialog>
  )
}

function Plans({ job: j }: { job: WholeJob }) {
  if (j.plans.length === 0) return <p className="quiet">There is nothing to do.</p>
  return (
    <>
      {j.plans.map((p) => (
        <section key={p.source}>
          <h2>
            {plain(p.source)}: {changesText(p.changes) || 'nothing to change'}
          </h2>
          {p.changes.length > 0 && <Changes changes={p.changes} label={`What ${plain(p.source)} would change`} />}
          <Stakes of={stakeOf(p)} changes={p.changes.length} />
        </section>
      ))}
    </>
  )
}

type Done = WholeJob['outcomes'][number]

// Outcome is what became of one source's plan, by what is there afterwards: what is not as it should be stands first.
function Outcome({ of: d, me, host }: { of: Done; me: Caller; host: { id: string; name: string } }) {
  const o = d.outcome
  const [reboot, setReboot] = useState(false)
  const good = verified(o)
  const restart = o.restart.services.map((s) => s.name)
  return (
    <section className="outcome">
      <h2>
        {plain(d.source)}:{' '}
        {good ? (
          <State of="current">done, verified</State>
        ) : o.rolled_back ? (
          <State of="back">rolled back</State>
        ) : (
          <State of="security">not all of it is done</State>
        )}
      </h2>
      {good && o.done.length > 0 && <p>{changesText(o.done)}: looked at afterwards, all of it is there, and what ran before runs.</p>}
      {good && o.done.length === 0 && o.restarted.length === 0 && !o.rebooted && <p>Nothing was to be changed, and nothing was.</p>}
      {o.rolled_back && <p>It did not work, and what had been changed was put back: the host runs what it ran before.</p>}
      {o.because && (
        <div className="note bad">
          <p>{plain(o.because)}</p>
          {o.remedy && <p>{plain(o.remedy)}</p>}
        </div>
      )}
      <Names bad title="Left half done" list={o.half_done} />
      <Names bad title="Ran before, and does not run any more" list={o.stopped} />
      {o.missing.length > 0 && (
        <>
          <h3>Not done</h3>
          <Changes changes={o.missing} label="What was not done" />
        </>
      )}
      {o.done.length > 0 && (
        <details open={o.done.length <= 10}>
          <summary>Done: {changesText(o.done)}</summary>
          <Changes changes={o.done} label="What was done" />
        </details>
      )}
      <Names title="Configuration to look at: a newer version lies beside each" list={o.config_files} />
      <Names title="Services restarted" list={o.restarted} />
      <Names title="Services that still run replaced files" list={restart} />
      {o.restart.needed === 'unknown' && o.restart.because && <p className="note">Services to restart are not all known: {plain(o.restart.because)}</p>}
      {o.rebooted && <p>Rebooted, and back.</p>}
      {o.reboot.needed === 'yes' && !o.rebooted && (
        <p className="note">
          A reboot is needed: {plain(o.reboot.because.join(', '))} {may(me, 'operate') && <button onClick={() => setReboot(true)}>Reboot…</button>}
        </p>
      )}
      {o.reboot.needed === 'unknown' && o.reboot.because.length > 0 && <p className="note">Whether a reboot is needed is not known: {plain(o.reboot.because.join(', '))}</p>}
      {reboot && <Reboots on={{ hosts: [host] }} close={() => setReboot(false)} />}
    </section>
  )
}

// Names is a list of names under what they have in common; nothing where there are none.
function Names({ title, list, bad }: { title: string; list: string[]; bad?: boolean }) {
  if (list.length === 0) return null
  return (
    <div className={bad ? 'note bad' : undefined}>
      <p>
        <b>{title}</b>
      </p>
      <ul className="names">
        {list.map((n) => (
          <li key={n}>{plain(n)}</li>
        ))}
      </ul>
    </div>
  )
}
