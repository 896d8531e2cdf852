import { useInfiniteQuery } from '@tanstack/react-query'
import { number, plain, short } from '../../core/format.ts'
import type { Filter } from '../../core/queries.ts'
import type { Caller, Offer } from '../../core/types.ts'
import { ask } from '../api.ts'
import { Choice, Export, Empty, Marks, Search, Step, Time, Title, useTitle } from '../components/bits.tsx'
import { Bar, useChosen } from '../components/choose.tsx'
import { Advised } from '../components/flaws.tsx'
import { type Column, List } from '../components/list.tsx'
import { Link, useLocation, useParam } from '../router.tsx'
import { may } from '../who.ts'
import { filterOf } from './filters.ts'
import { Grouped } from './groups.tsx'
import { InstallThese } from './several.tsx'

const columns: Column<Offer>[] = [
  {
    head: 'Update',
    width: 'minmax(12rem, 2fr)',
    sort: 'name',
    cell: (o) => (
      <>
        <Link href={`/updates/${o.id}`}>{plain(o.update.name)}</Link>
        <small>{plain(o.update.summary)}</small>
      </>
    ),
  },
  { head: 'Version', width: 'minmax(14rem, 2fr)', cell: (o) => <Step update={o.update} /> },
  { head: 'Priority', width: 'minmax(13rem, 2fr)', sort: 'priority', oneWay: true, cell: (o) => <Advised of={o.update.advice} /> },
  { head: 'About', width: 'minmax(6rem, 1fr)', cell: (o) => <Marks update={{ ...o.update, blocked: o.blocked ? `blocked on ${o.blocked}` : '' }} /> },
  { head: 'Hosts', width: '6rem', number: true, sort: 'hosts', cell: (o) => number(o.hosts) },
  { head: 'Since', width: '7.5rem', sort: 'first_seen', cell: (o) => <Time at={o.first_seen} /> },
]

export function Updates({ me }: { me: Caller }) {
  useTitle('Updates')
  const { params } = useLocation()
  const by = params.get('by') ?? ''
  const filter = filterOf('/updates', params)
  return (
    <>
      <Title aside={by ? undefined : <Export path="/updates" filter={filter} />}>Updates</Title>
      <div className="filters">
        <Choice name="by" label="By" choices={[['', 'By update'], ['package', 'Package'], ['host', 'Host'], ['source', 'Source'], ['label', 'Label']]} />
      </div>
      {by ? <Grouped by={by} me={me} /> : <Flat filter={filter} filtered={params.size > 0} me={me} />}
    </>
  )
}

const offerID = (o: Offer) => String(o.id)
const offerName = (o: Offer) => `${plain(o.update.name)} ${plain(short(o.update.to, o.update.to_version))}`

// Sources chooses one of those that have updates.
function Sources() {
  const [chosen] = useParam('source')
  const { data } = useInfiniteQuery(ask.offerGroups({ by: 'source' }))
  const names = new Set((data?.pages ?? []).flatMap((p) => (p.items ?? []).map((g) => g.name)))
  if (chosen) names.add(chosen)
  return <Choice name="source" label="Source" choices={[['', 'Every source'], ...[...names].sort().map((n): [string, string] => [n, plain(n)])]} />
}

function Flat({ filter, filtered, me }: { filter: Filter; filtered: boolean; me: Caller }) {
  const chosen = useChosen<Offer>()
  const choose = may(me, 'operate') ? { chosen, name: offerName } : undefined
  return (
    <>
      <div className="filters">
        <Search name="q" label="Search updates by name" placeholder="Name" />
        <Choice name="security" label="Security" choices={[['', 'All'], ['true', 'Security']]} />
        <Sources />
        <Choice name="blocked" label="Blocked" choices={[['', 'Any'], ['true', 'Blocked']]} />
      </div>
      <List label="Updates" asked={ask.updates(filter)} columns={columns} id={offerID} choose={choose} empty={<Empty>{filtered ? 'No update is like that.' : 'No updates are pending on any host that is known.'}</Empty>} />
      {choose && (
        <Bar chosen={chosen} one="update" asked={ask.updates(filter)} id={offerID}>
          {(offers) => <InstallThese offers={offers} />}
        </Bar>
      )}
    </>
  )
}
