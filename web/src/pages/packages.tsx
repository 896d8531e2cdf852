import { plain } from '../../core/format.ts'
import { ask } from '../api.ts'
import { Export, Empty, Search, Title, useTitle } from '../components/bits.tsx'
import { List } from '../components/list.tsx'
import { Link, to, useLocation } from '../router.tsx'
import { filterOf } from './filters.ts'

export function Packages() {
  const { params } = useLocation()
  const name = params.get('name') ?? undefined
  useTitle(name ?? 'Packages')
  if (name) return <OnHosts name={name} />
  const filter = filterOf('/packages', params)
  return (
    <>
      <Title aside={<Export path="/packages" filter={filter} />}>Packages</Title>
      <div className="filters">
        <Search name="prefix" label="The beginning of a package's name" placeholder="Begins with" />
      </div>
      <List
        label="Packages"
        asked={ask.packages(filter)}
        id={(p) => p.source + p.name}
        columns={[
          { head: 'Package', width: 'minmax(14rem, 3fr)', cell: (p) => <Link href={to('/packages', { name: p.name })}>{plain(p.name)}</Link> },
          { head: 'Source', width: '8rem', cell: (p) => plain(p.source) },
          { head: 'Versions', width: '8rem', number: true, cell: (p) => p.versions },
        ]}
        empty={<Empty>No host has a package whose name begins like that.</Empty>}
      />
    </>
  )
}

function OnHosts({ name }: { name: string }) {
  const { params } = useLocation()
  const filter = { name, below: params.get('below') ?? undefined }
  return (
    <>
      <Title aside={<Export path="/packages/hosts" filter={filter} />}>{plain(name)}</Title>
      <p>
        <Link href="/packages">All packages</Link>
      </p>
      <div className="filters">
        <Search name="below" label="Versions below" placeholder="Versions below…" />
      </div>
      <List
        label="Hosts that have it"
        asked={ask.packageHosts(filter)}
        id={(p) => p.host + p.package.arch + p.package.version}
        columns={[
          { head: 'Host', width: 'minmax(12rem, 2fr)', cell: (p) => <Link href={`/hosts/${p.host}`}>{plain(p.host_name)}</Link> },
          { head: 'Version', width: 'minmax(10rem, 2fr)', cell: (p) => plain(p.package.version) },
          { head: 'Architecture', width: '8rem', cell: (p) => plain(p.package.arch) },
        ]}
        empty={<Empty>No host has it in such a version.</Empty>}
      />
    </>
  )
}
