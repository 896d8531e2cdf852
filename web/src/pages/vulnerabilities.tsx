// What to mend first, over all hosts.
import { useQuery } from '@tanstack/react-query'
import { number, plain } from '../../core/format.ts'
import { buckets, severities } from '../../core/flaws.ts'
import type { Caller, Vulnerability } from '../../core/types.ts'
import { ask } from '../api.ts'
import { Choice, Export, Pick, Search, State, Time, Title, useTitle } from '../components/bits.tsx'
import { Bucket, Chance, FlawLink, Severity, SuppressedMark } from '../components/flaws.tsx'
import { Knowledge, Nothing } from '../components/knowledge.tsx'
import { type Column, List } from '../components/list.tsx'
import { useLocation } from '../router.tsx'
import { filterOf } from './filters.ts'

// names are as many as a cell has room for.
const names = 3

// of says of a vulnerability what it is, whoever has it.
const of: Column<Vulnerability>[] = [
  {
    head: 'Vulnerability',
    width: 'minmax(14rem, 2.6fr)',
    cell: (v) => (
      <>
        <FlawLink id={v.id} /> <Bucket of={v.bucket} />
        <SuppressedMark of={v} />
        <small>{plain(v.because)}</small>
      </>
    ),
  },
  { head: 'In', width: 'minmax(7rem, 1fr)', cell: (v) => plain(v.packages.slice(0, names).join(', ')) + (v.packages.length > names ? ` and ${number(v.packages.length - names)} more` : '') },
  { head: 'Severity', width: '8rem', cell: (v) => <Severity of={v} /> },
  { head: 'Exploited', width: 'minmax(11rem, 1.4fr)', cell: (v) => <Chance of={v} /> },
]

const since: Column<Vulnerability> = { head: 'Since', width: '7rem', cell: (v) => <Time at={v.first_seen} /> }

const overAll: Column<Vulnerability>[] = [...of, { head: 'Hosts', width: 'minmax(9rem, 1fr)', cell: (v) => <Reach of={v} /> }, since]

const onOne: Column<Vulnerability>[] = [...of, { head: 'What mends it', width: 'minmax(9rem, 1fr)', cell: (v) => <Here of={v} /> }]

// Reach says how many hosts have it, and what can be done there.
function Reach({ of: v }: { of: Vulnerability }) {
  return (
    <>
      <span>{number(v.hosts)} vulnerable</span>
      {v.hosts > 0 && <small>{v.mendable === 0 ? noUpdate(v) : v.mendable === v.hosts ? 'an update mends it on all' : `an update mends it on ${number(v.mendable)}`}</small>}
      {v.in_memory > 0 && <small>on {number(v.in_memory)} mended, and still in memory</small>}
      {v.suppressed_hosts > 0 && <small>suppressed on {number(v.suppressed_hosts)}</small>}
    </>
  )
}

// Here says what mends it on the one host that is looked at.
function Here({ of: v }: { of: Vulnerability }) {
  if (v.in_memory > 0) return <>a restart: mended on disk, still in memory</>
  if (v.in_memory_unknown > 0) return <>mended on disk; whether it is still in memory is not known</>
  return v.mendable > 0 ? <>an update</> : <span className="quiet">{noUpdate(v)}</span>
}

const noUpdate = (v: Vulnerability) => (v.fixable ? 'a fix is known, and not on offer' : 'no fix')

// same are choices that are called what they are.
const same = (words: string[]) => words.map((w): [string, string] => [w, w])

const id = (v: Vulnerability) => v.id

export function Vulnerabilities({ me }: { me: Caller }) {
  useTitle('Vulnerabilities')
  const { params } = useLocation()
  const filter = filterOf('/vulnerabilities', params)
  return (
    <>
      <Title aside={<Export path="/vulnerabilities" filter={filter} />}>Vulnerabilities</Title>
      <Knowledge me={me} />
      <div className="filters">
        <Choice name="bucket" label="When to mend" choices={[['', 'All'], ...same(buckets)]} />
        <Choice name="exploited" label="Exploited" choices={[['', 'Exploited or not'], ['true', 'Exploited']]} />
        <Search name="search" label="Search vulnerabilities and packages by name" placeholder="CVE or package" />
        <Pick name="severity" label="Severity" choices={[['', 'Any severity'], ...same(severities), ['unrated', 'unrated']]} />
        <Pick name="fix" label="Fix" choices={[['', 'With an update or without'], ['available', 'An update mends it'], ['none', 'No update mends it']]} />
        <Pick name="suppressed" label="Suppressed" choices={[['', 'Suppressed or not'], ['false', 'What counts'], ['true', 'Suppressed']]} />
        <ByGroup />
      </div>
      <List
        label="Vulnerabilities"
        asked={ask.vulnerabilities(filter)}
        columns={overAll}
        id={id}
        empty={
          <Nothing filtered={params.size > 0}>
            No host has a vulnerability that is known.
          </Nothing>
        }
      />
    </>
  )
}

// ByGroup chooses those that hosts of a group have.
function ByGroup() {
  const { data } = useQuery(ask.groups())
  const groups = data?.items ?? []
  if (groups.length === 0) return null
  return <Pick name="group" label="Group" choices={[['', 'Any group'], ...groups.map((g): [string, string] => [String(g.id), plain(g.name)])]} />
}

// HostFlaws are what one host has.
export function HostFlaws({ host, unknown, me }: { host: string; unknown: string; me: Caller }) {
  const { data } = useQuery(ask.advisories())
  if (data?.feeds.length === 0) return <Knowledge me={me} />
  return (
    <>
      {unknown && (
        <p className="note">
          <State of="unknown">There may be more:</State> {plain(unknown)}
        </p>
      )}
      <div className="filters">
        <Export path="/vulnerabilities" filter={{ host }} />
      </div>
      <List label="What this host has" asked={ask.vulnerabilities({ host })} columns={onOne} id={id} empty={<Nothing>This host has no vulnerability that is known.</Nothing>} />
    </>
  )
}
