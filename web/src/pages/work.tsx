import { plain } from '../../core/format.ts'
import { ask } from '../api.ts'
import { Choice, Empty, Export, State, Time, Title, useTitle } from '../components/bits.tsx'
import { List } from '../components/list.tsx'
import { Link, useParam } from '../router.tsx'

const looks: Record<string, string> = { waiting: 'waiting', running: 'running', succeeded: 'current', failed: 'security', expired: 'security', lost: 'unknown' }

// Work is what was asked of hosts.
export function Work() {
  useTitle('Work')
  const [state] = useParam('state')
  const filter = { state: state || undefined }
  return (
    <>
      <Title aside={<Export path="/orders" filter={filter} />}>Work</Title>
      <div className="filters">
        <Choice name="state" label="State" choices={[['', 'All'], ['waiting', 'Waiting'], ['running', 'Running'], ['failed', 'Failed']]} />
      </div>
      <List
        label="What was asked of hosts"
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
                <State of={looks[o.state] ?? ''}>{o.state}</State>
                {o.because && <small>{plain(o.because)}</small>}
              </>
            ),
          },
          { head: 'Asked by', width: 'minmax(8rem, 1fr)', cell: (o) => <span className="quiet">{plain(o.created_by)}</span> },
          { head: 'When', width: '7.5rem', cell: (o) => <Time at={o.changed_at} /> },
        ]}
        empty={<Empty>{state ? 'No work is like that.' : 'Nothing was asked of any host yet.'}</Empty>}
      />
    </>
  )
}
