import { plain } from '../../core/format.ts'
import type { Caller } from '../../core/types.ts'
import { ask } from '../api.ts'
import { Empty, Export, Search, Time, Title, useTitle } from '../components/bits.tsx'
import { List } from '../components/list.tsx'
import { useLocation } from '../router.tsx'
import { may } from '../who.ts'

export function Audit({ me }: { me: Caller }) {
  useTitle('Audit')
  const { params } = useLocation()
  const filter = { q: params.get('q') ?? undefined, who: params.get('who') ?? undefined }
  if (!may(me, 'administer')) return <Empty>Only an administrator can see who did what.</Empty>
  return (
    <>
      <Title aside={<Export path="/deeds" filter={filter} />}>Audit</Title>
      <div className="filters">
        <Search name="q" label="Search what was done" placeholder="What was done" />
        <Search name="who" label="Whose" placeholder="Who" />
      </div>
      <List
        label="Who did what"
        asked={ask.deeds(filter)}
        id={(d) => `${d.at} ${d.who} ${d.what} ${d.about}`}
        columns={[
          { head: 'Who', width: 'minmax(8rem, 1fr)', cell: (d) => plain(d.who) },
          { head: 'What', width: 'minmax(14rem, 2fr)', cell: (d) => plain(d.what) },
          { head: 'On what', width: 'minmax(14rem, 3fr)', cell: (d) => <span className="quiet">{plain(d.about)}</span> },
          { head: 'From', width: '9rem', cell: (d) => <span className="quiet">{plain(d.address)}</span> },
          { head: 'When', width: '7.5rem', cell: (d) => <Time at={d.at} /> },
        ]}
        empty={<Empty>{params.size ? 'Nothing like that was done.' : 'Nobody has changed anything yet.'}</Empty>}
      />
    </>
  )
}
