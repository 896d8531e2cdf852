import { plain } from '../../core/format.ts'
import type { Job, Rollout } from '../../core/types.ts'
import { jobText, looks, rolloutState, tally, taskText } from '../../core/work.ts'
import { ask } from '../api.ts'
import { Choice, Empty, Export, Number as Count, State, Time, Title, useTitle } from '../components/bits.tsx'
import { type Column, List } from '../components/list.tsx'
import { Progress } from '../components/progress.tsx'
import { Link, useParam } from '../router.tsx'

// Work is what was asked of hosts: all that was asked at once, what of it is whose, and scans.
export function Work() {
  useTitle('Work')
  const [what] = useParam('what')
  const [state] = useParam('state')
  const filter = { state: state || undefined }
  return (
    <>
      <Title aside={<Export path={what === 'jobs' ? '/jobs' : what === 'scans' ? '/orders' : '/rollouts'} filter={what ? filter : {}} />}>Work</Title>
      <div className="filters">
        <Choice
          name="what"
          label="What"
          choices={[
            ['', 'Rollouts'],
            ['jobs', 'By host'],
            ['scans', 'Scans'],
          ]}
        />
        {what === 'jobs' && (
          <Choice
            name="state"
            label="State"
            choices={[
              ['', 'All'],
              ['open', 'Not ended'],
              ['planned', 'To approve'],
              ['running', 'Running'],
              ['failed', 'Not as wanted'],
            ]}
          />
        )}
        {what === 'scans' && (
          <Choice
            name="state"
            label="State"
            choices={[
              ['', 'All'],
              ['waiting', 'Waiting'],
              ['running', 'Running'],
              ['failed', 'Failed'],
            ]}
          />
        )}
      </div>
      {what === 'jobs' ? <Jobs filter={filter} /> : what === 'scans' ? <Scans filter={filter} /> : <Rollouts />}
    </>
  )
}

const rollouts: Column<Rollout>[] = [
  { head: 'What', width: 'minmax(12rem, 2fr)', cell: (r) => <Link href={`/rollouts/${r.id}`}>{plain(taskText(r.work))}</Link> },
  { head: 'Hosts', width: '5rem', number: true, cell: (r) => <Count of={r.hosts} /> },
  { head: 'State', width: 'minmax(14rem, 3fr)', cell: (r) => <State of={looks[rolloutState(r.jobs)] ?? ''}>{tally(r.jobs, r.work)}</State> },
  { head: 'Asked by', width: 'minmax(7rem, 1fr)', cell: (r) => <span className="quiet">{plain(r.created_by)}</span> },
  { head: 'When', width: '7.5rem', cell: (r) => <Time at={r.created_at} /> },
]

function Rollouts() {
  return (
    <List
      label="What was asked of hosts"
      asked={ask.rollouts({})}
      id={(r) => String(r.id)}
      columns={rollouts}
      empty={
        <Empty>
          <p>Nothing was asked of any host yet.</p>
          <p>
            Choose some in the <Link href="/hosts">list of hosts</Link>, and install their updates.
          </p>
        </Empty>
      }
    />
  )
}

// jobColumns show jobs of any host.
const jobColumns: Column<Job>[] = [
  { head: 'Host', width: 'minmax(9rem, 1.2fr)', cell: (j) => <Link href={`/hosts/${j.host}`}>{plain(j.host_name)}</Link> },
  { head: 'What', width: 'minmax(10rem, 1.4fr)', cell: (j) => <Link href={`/jobs/${j.id}`}>{plain(taskText(j.work))}</Link> },
  {
    head: 'State',
    width: 'minmax(12rem, 2.4fr)',
    cell: (j) => (
      <>
        <State of={looks[j.state] ?? ''}>{jobText(j)}</State>
        {j.because && <small>{plain(j.because)}</small>}
        {j.state === 'running' && <Progress job={j} />}
      </>
    ),
  },
  { head: 'Asked by', width: 'minmax(7rem, 1fr)', cell: (j) => <span className="quiet">{plain(j.created_by)}</span> },
  { head: 'Since', width: '7.5rem', cell: (j) => <Time at={j.changed_at} /> },
]

function Jobs({ filter }: { filter: { state?: string } }) {
  return <List label="What was asked of each host" asked={ask.jobs(filter)} id={(j) => String(j.id)} columns={jobColumns} empty={<Empty>{filter.state ? 'No work is like that.' : 'Nothing was asked of any host yet.'}</Empty>} />
}

const scanLooks: Record<string, string> = { waiting: 'waiting', running: 'running', succeeded: 'current', failed: 'security', expired: 'security', unknown: 'unknown' }

function Scans({ filter }: { filter: { state?: string } }) {
  return (
    <List
      label="Scans that were asked for"
      asked={ask.orders(filter)}
      id={(o) => String(o.id)}
      columns={[
        { head: 'Host', width: 'minmax(10rem, 2fr)', cell: (o) => <Link href={`/hosts/${o.host}`}>{plain(o.host_name)}</Link> },
        { head: 'What', width: 'minmax(8rem, 1fr)', cell: (o) => (o.scan?.refresh ? 'refresh and scan' : 'scan') },
        {
          head: 'State',
          width: 'minmax(10rem, 2fr)',
          cell: (o) => (
            <>
              <State of={scanLooks[o.state] ?? ''}>{o.state}</State>
              {o.because && <small>{plain(o.because)}</small>}
            </>
          ),
        },
        { head: 'Asked by', width: 'minmax(8rem, 1fr)', cell: (o) => <span className="quiet">{plain(o.created_by)}</span> },
        { head: 'When', width: '7.5rem', cell: (o) => <Time at={o.changed_at} /> },
      ]}
      empty={<Empty>{filter.state ? 'No scan is like that.' : 'No host was asked to look yet.'}</Empty>}
    />
  )
}
