import { useQuery } from '@tanstack/react-query'
import { number, plain } from '../../core/format.ts'
import type { Caller, Host } from '../../core/types.ts'
import { ask } from '../api.ts'
import { Acts, target } from '../components/act.tsx'
import { Choice, Export, Empty, Number as Count, Search, State, Time, Title, useTitle } from '../components/bits.tsx'
import { Bar, useChosen } from '../components/choose.tsx'
import { type Column, List } from '../components/list.tsx'
import { Link, useLocation, useParam } from '../router.tsx'
import { may } from '../who.ts'
import { filterOf } from './filters.ts'

const columns: Column<Host>[] = [
  {
    head: 'Host',
    width: 'minmax(12rem, 2fr)',
    sort: 'name',
    cell: (h) => (
      <>
        <Link href={`/hosts/${h.id}`}>{plain(h.facts.name)}</Link>
        {Object.entries(h.labels ?? {}).map(([k, v]) => (
          <span key={k} className="tag">
            {plain(v ? `${k}=${v}` : k)}
          </span>
        ))}
      </>
    ),
  },
  {
    head: 'State',
    width: 'minmax(9rem, 2fr)',
    cell: (h) => (
      <>
        <State of={h.state} />
        {h.support?.unsupported && (
          <span className="tag loud" title={plain(h.support.words)}>
            out of support
          </span>
        )}
        {h.because.length > 0 && <small>{plain(h.because.join('; '))}</small>}
      </>
    ),
  },
  { head: 'Vulnerable', width: '8rem', number: true, cell: (h) => <Vulnerable of={h} /> },
  { head: 'Security', width: '6.5rem', number: true, sort: 'security', cell: (h) => <Count of={h.security} /> },
  { head: 'Updates', width: '6.5rem', number: true, sort: 'updates', cell: (h) => <Count of={h.updates} /> },
  { head: 'System', width: 'minmax(8rem, 1.4fr)', cell: (h) => <span className="quiet">{plain(h.facts.os)}</span> },
  { head: 'Seen', width: '7.5rem', sort: 'seen', cell: (h) => <Time at={h.seen_at} /> },
]

// Vulnerable says how much a host has that counts, and how much of that must be mended now.
function Vulnerable({ of: h }: { of: Host }) {
  const all = Object.values(h.vulnerable).reduce((n, m) => n + m, 0)
  const now = h.vulnerable['act now'] ?? 0
  return (
    <>
      {h.vulnerable_unknown ? <State of="unknown">{all > 0 ? `at least ${number(all)}` : 'unknown'}</State> : <Count of={all} />}
      {now > 0 && <small>{number(now)} act now</small>}
    </>
  )
}

const id = (h: Host) => h.id
const name = (h: Host) => plain(h.facts.name)

export function Hosts({ me }: { me: Caller }) {
  useTitle('Hosts')
  const { params } = useLocation()
  const chosen = useChosen<Host>()
  const choose = may(me, 'operate') ? { chosen, name } : undefined
  const filter = filterOf('/hosts', params)
  return (
    <>
      <Title
        aside={
          <>
            <Export path="/hosts" filter={filter} />
            <Link className="button main" href="/add">
              Add hosts
            </Link>
          </>
        }
      >
        Hosts
      </Title>
      <div className="filters">
        <Search name="q" label="Search hosts by name" placeholder="Name" />
        <Choice name="state" label="State" choices={[['', 'All'], ['unknown', 'Unknown'], ['security', 'Security'], ['outdated', 'Outdated'], ['current', 'Current']]} />
        <Search name="label" label="Label query" placeholder="env=prod,role!=db" />
        <ByGroup />
        <Choice name="support" label="Support" choices={[['', 'Any release'], ['ended', 'Out of support']]} />
        {(params.get('reboot') || params.get('restart')) && <Choice name={params.get('reboot') ? 'reboot' : 'restart'} label="Needs" choices={[['', 'All'], ['yes', params.get('reboot') ? 'To reboot' : 'To restart']]} />}
      </div>
      <List
        label="Hosts"
        asked={ask.hosts(filter)}
        columns={columns}
        id={id}
        choose={choose}
        empty={
          <Empty>
            <p>No host is like that.</p>
            <p>
              <Link href="/hosts">Show all</Link> or <Link href="/add">add one</Link>.
            </p>
          </Empty>
        }
      />
      {choose && (
        <Bar chosen={chosen} one="host" asked={ask.hosts(filter)} id={id}>
          {(hosts) => <Acts on={hosts.map(target)} />}
        </Bar>
      )}
    </>
  )
}

// ByGroup chooses hosts by a label query that was saved.
function ByGroup() {
  const [label, set] = useParam('label')
  const { data } = useQuery(ask.groups())
  const groups = data?.items ?? []
  if (groups.length === 0) return null
  return (
    <select className="group" aria-label="Group" value={groups.some((g) => g.query === label) ? label : ''} onChange={(e) => set(e.target.value)}>
      <option value="">Any group</option>
      {groups.map((g) => (
        <option key={g.id} value={g.query}>
          {plain(g.name)}
        </option>
      ))}
    </select>
  )
}
